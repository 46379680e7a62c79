-- The session of an author in neovim: started with a chapter open, leaves with an error if anything is not seen.
local function fail(what)
  io.stderr:write('not seen: ' .. what .. '\n')
  vim.cmd('cquit 1')
end

local function await(what, seen)
  if not vim.wait(60000, seen, 50) then
    fail(what .. ': ' .. vim.inspect(vim.diagnostic.get(nil)))
  end
end

-- The cursor may stand behind the last character, as it does while one types.
vim.o.virtualedit = 'onemore'

-- Before 0.8 there is no `vim.lsp.start`, which starts a server once and attaches each document to it.
if not vim.lsp.start then
  local client
  vim.lsp.start = function(config)
    client = client or vim.lsp.start_client(config)
    vim.lsp.buf_attach_client(0, client)
  end
end

-- As the guide says it.
dofile(vim.env.QED_SETTINGS)
vim.bo.filetype = 'markdown'
local function clients()
  return (vim.lsp.get_clients or vim.lsp.get_active_clients)()
end
await('a server', function()
  return #clients() > 0
end)
local client = clients()[1].id

local function type_line(line)
  vim.api.nvim_buf_set_lines(0, 2, 3, false, { line })
  vim.api.nvim_win_set_cursor(0, { 3, #line })
end

local function ask(method)
  local params = vim.lsp.util.make_position_params(0, 'utf-16')
  local answers = vim.lsp.buf_request_sync(0, method, params, 60000)
  return answers and answers[client] and answers[client].result
end

local function shown(words)
  return function()
    for _, one in ipairs(vim.diagnostic.get(0)) do
      if one.message:find(words, 1, true) then
        return true
      end
    end
    return false
  end
end

-- Half a placeholder, and what is offered.
type_line('😀 {{qed create.')
await('the half placeholder', shown('the placeholder has no end in its line'))
local items = vim.lsp.util.extract_completion_items(ask('textDocument/completion'))
local outcome
for _, item in ipairs(items) do
  if item.label == 'outcome' then
    outcome = item
  end
end
if not outcome then
  fail('outcome among ' .. vim.inspect(items))
end
vim.lsp.util.apply_text_edits({ outcome.textEdit }, 0, 'utf-16')
local line = vim.api.nvim_buf_get_lines(0, 2, 3, false)[1]
if line ~= '😀 {{qed create.outcome' then
  fail('the accepted word in ' .. line)
end

-- Finished, with its value.
type_line('😀 {{qed create.outcome.returned}}')
await('no complaint', function()
  return #vim.diagnostic.get(0, { severity = vim.diagnostic.severity.ERROR }) == 0
end)
vim.api.nvim_win_set_cursor(0, { 3, #'😀 {{qed create.outcome.r' })
local about = ask('textDocument/hover')
if not about or not about.contents.value:find('guest:test-1', 1, true) then
  fail('the value in ' .. vim.inspect(about))
end

-- A claim that is false, and mended.
local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
local function set(all)
  vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.split(all, '\n'))
end
set((text:gsub('returned == 3 &&', 'returned == 4 &&')))
await('the false claim', shown('claim `good` is FAIL on guest:test-1'))
set(text)
await('the mended claim', function()
  return #vim.diagnostic.get(0, { severity = vim.diagnostic.severity.ERROR }) == 0
end)

io.stdout:write('all seen\n')
vim.cmd('qall!')
