// Values in a page: they cannot break out of where they stand, and say where they come from. QED_FIXTURE names a folder
// of sites that preprocessor/tests/browser.rs builds: `harmless`, and one for each hostile value; QED_MARKS one of a page of
// addresses, with a claim that fails and one that passes on evidence that is out of date.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { THEMES, VIEWS, open, start } from '../lib/browser.mjs';
import { brokenNumbers, looks } from '../lib/looks.mjs';
import { serve } from '../lib/site.mjs';

const FIXTURE = process.env.QED_FIXTURE;
const MARKS = process.env.QED_MARKS;
const skip = FIXTURE ? false : 'preprocessor/tests/browser.rs runs this';

let browser;
let sites;
before(async () => {
  if (skip) return;
  sites = await serve(FIXTURE);
  browser = await start();
});
after(async () => {
  await browser?.close();
  sites?.end();
});

/** The page's elements with the names of their attributes, as the browser built them, in order. */
function skeleton(page) {
  return page.evaluate(() => [...document.querySelectorAll('main, main *')].map((element) =>
    `${element.localName} ${element.getAttributeNames().sort().join(' ')}`));
}

/** Goes from element to element as the Tab key does, until one matches. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 100; presses += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
  }
  assert.fail(`the Tab key does not reach ${selector}`);
}

/** What is shown beside a value: its text, or null, and whether it can be seen and read. */
function provenance(page, selector) {
  return page.evaluate((wanted) => {
    const element = document.querySelector(wanted);
    const style = getComputedStyle(element, '::after');
    if (style.content === 'none' || style.content === 'normal') return null;
    // Relative luminance and contrast: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
    const luminance = (color) => {
      const [red, green, blue] = color.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const [dark, light] = [luminance(style.color), luminance(style.backgroundColor)].sort((a, b) => a - b);
    return {
      // A CSS string: https://www.w3.org/TR/css-syntax-3/#consume-escaped-code-point
      text: style.content.slice(1, -1)
        .replace(/\\(?:([0-9a-f]{1,6})\s?|(.))/gi, (_, code, char) => char ?? String.fromCodePoint(parseInt(code, 16))),
      contrast: (light + 0.05) / (dark + 0.05),
      opaque: !/rgba\(.*, 0(\.\d+)?\)/.test(style.backgroundColor) && style.opacity === '1',
      inWindow: style.position === 'fixed' && parseFloat(style.width) <= window.innerWidth,
    };
  }, selector);
}

// Check that no hostile value adds an element or an attribute, runs, or asks anybody for anything.
test('hostile values stay where they stand', { skip }, async () => {
  const page = await open(browser);
  const alarms = [];
  page.on('dialog', (dialog) => {
    alarms.push(dialog.message());
    return dialog.dismiss();
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(sites.address)) alarms.push(`asked for ${request.url()}`);
  });
  const look = async (name) => {
    await page.goto(`${sites.address}/${name}/one.html`);
    // Handlers that a value smuggled in would run now.
    for (const value of await page.locator('main .qed, main b, main a').all()) await value.dispatchEvent('mouseover');
    return skeleton(page);
  };
  const expected = await look('harmless');
  assert.ok(expected.length > 50, `${expected.length} elements`);
  const hostile = readdirSync(FIXTURE).filter((name) => name !== 'harmless');
  assert.ok(hostile.length > 10);
  for (const name of hostile) {
    const said = readFileSync(path.join(FIXTURE, name, 'said.txt'), 'utf8');
    assert.deepEqual(await look(name), expected, JSON.stringify(said));
    assert.deepEqual(alarms, [], JSON.stringify(said));
    const text = await page.locator('main').innerText();
    assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(text), JSON.stringify(said));
  }
});

// Check that without JavaScript, in every theme, provenance shows on hover and on keyboard focus, readably, and that
// nothing shows otherwise.
test('provenance needs no JavaScript', { skip }, async () => {
  const page = await open(browser, { scripts: false });
  for (const theme of THEMES) {
    await page.goto(`${sites.address}/harmless/one.html`);
    await page.evaluate((name) => { document.documentElement.className = name; }, theme);
    const value = 'main p > .qed';
    const said = await page.locator(value).first().getAttribute('aria-description');
    assert.match(said, /create\.outcome\.stdout[^]*guest:test-1 · Linux 0\.0\.1-test · 2026-01-02 03:04 UTC · .* old/);
    assert.equal(await provenance(page, value), null, `${theme}: shown without being asked for`);
    await tabTo(page, value);
    const focused = await provenance(page, value);
    assert.equal(focused?.text, said, `${theme}: keyboard focus`);
    assert.ok(focused.contrast >= 4.5 && focused.opaque && focused.inWindow, `${theme}: ${JSON.stringify(focused)}`);
    await page.evaluate(() => document.activeElement.blur());
    assert.equal(await provenance(page, value), null);
    await page.hover(value);
    assert.equal((await provenance(page, value))?.text, said, `${theme}: hover`);
    await page.mouse.move(0, 0);
  }
});

// Check that values where no markup can stand are in the page's list, which opens by keyboard and without JavaScript.
test('a list says where the other values come from', { skip }, async () => {
  const page = await open(browser, { scripts: false });
  await page.goto(`${sites.address}/harmless/one.html`);
  const row = '.qed-row[data-qed="create.outcome.stdout"]';
  assert.ok(!await page.locator(row).first().isVisible());
  await tabTo(page, '.qed-sources summary');
  await page.keyboard.press('Enter');
  assert.ok(await page.locator(row).first().isVisible());
  const shown = await page.evaluate((wanted) => getComputedStyle(document.querySelector(wanted), '::before').content, row);
  assert.match(shown, /harmless ← create\.outcome\.stdout — .*guest:test-1/);
});

// Check that copied text is the plain value: all of the page's text without a word of provenance.
test('copied text is the plain value', { skip }, async () => {
  const page = await open(browser);
  await page.goto(`${sites.address}/harmless/one.html`);
  const copied = await page.evaluate(() => {
    getSelection().selectAllChildren(document.querySelector('main p'));
    const paragraph = getSelection().toString();
    getSelection().selectAllChildren(document.querySelector('main pre code'));
    const code = getSelection().toString();
    // Claims and exhibits are about paths and machines, and say so in their text.
    for (const block of document.querySelectorAll('.qed-claim, .qed-exhibit')) block.style.display = 'none';
    getSelection().selectAllChildren(document.querySelector('main'));
    return { paragraph, code, all: getSelection().toString() };
  });
  assert.equal(copied.paragraph.trim(), 'prose harmless end');
  assert.equal(copied.code.trim(), 'harmless\nx harmless y');
  assert.ok(copied.all.includes('End') && !/create\.outcome|guest:test-1|Measured on/.test(copied.all), copied.all);
});

// Check that the search finds values, and not where they come from.
test('provenance is not in the search index', { skip }, async () => {
  const site = path.join(FIXTURE, 'harmless');
  const name = readdirSync(site).find((file) => file.startsWith('searchindex') && file.endsWith('.js'));
  const index = readFileSync(path.join(site, name), 'utf8');
  assert.ok(index.includes('harmless'));
  assert.ok(!/aria-description|data-qed|text — create/.test(index));
  const page = await open(browser);
  await page.goto(`${sites.address}/harmless/one.html`);
  // The notes above exhibits are text like the rest of an exhibit; the block at the top of the page is not.
  const notes = page.locator('main .qed-exhibit p.qed-dim', { hasText: 'Measured on' });
  assert.equal(index.match(/Measured on/g)?.length ?? 0, await notes.count());
  const search = async (words) => {
    await page.goto(`${sites.address}/harmless/one.html?search=${encodeURIComponent(words)}`);
    await page.waitForFunction(() => document.querySelector('#mdbook-searchresults-header')?.textContent);
    return page.locator('#mdbook-searchresults li').count();
  };
  assert.ok(await search('harmless') > 0);
});

// Check that our own markup has no fault in any view, that a missing page says so, and that the print page is good.
test('the looks of all markup', { skip }, async () => {
  const found = [];
  const site = await serve(path.join(FIXTURE, 'harmless'));
  for (const view of VIEWS) {
    const page = await open(browser, view);
    for (const name of ['one.html', 'print.html', 'no-such-page.html']) {
      const response = await page.goto(`${site.address}/${name}`);
      assert.equal(response.status(), name.startsWith('no-such') ? 404 : 200);
      for (const finding of await looks(page)) found.push(`${name}, ${view.name}: ${finding}`);
    }
  }
  site.end();
  assert.ok(found.length === 0, found.join('\n'));
});

// Check that no address is broken in the middle and nothing else is wrong, in any view, on a page of recorded addresses; and
// that the check finds one that is.
test('the looks of addresses', { skip }, async (t) => {
  const site = await serve(MARKS);
  t.after(() => site.end());
  const found = [];
  for (const view of VIEWS) {
    const page = await open(browser, view);
    await page.goto(`${site.address}/one.html`);
    const shown = await page.locator('main').innerText();
    assert.ok(shown.match(/0x[0-9a-f]{16}/g).length > 20, shown);
    for (const finding of await looks(page)) found.push(`${view.name}: ${finding}`);
    await page.addStyleTag({ content: '.qed-records{width:9ch} .qed-number{white-space:inherit!important}' });
    assert.notDeepEqual(await brokenNumbers(page), [], `${view.name}: a broken number is not found`);
  }
  assert.ok(found.length === 0, found.join('\n'));
});

/** What marks an element: its borders, their contrast with what is behind it, and the same of its words. */
function marks(page, selector) {
  return page.locator(selector).first().evaluate((element) => {
    const numbers = (color) => color.match(/[\d.]+/g).map(Number);
    // Relative luminance and contrast: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
    const luminance = (color) => {
      const [red, green, blue] = numbers(color).slice(0, 3).map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    let behind = element;
    while (behind.parentElement && numbers(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const background = getComputedStyle(behind).backgroundColor;
    const contrast = (color) => {
      const [dark, light] = [luminance(color), luminance(background)].sort((a, b) => a - b);
      return (light + 0.05) / (dark + 0.05);
    };
    const style = getComputedStyle(element);
    const side = (name) => ({
      width: parseFloat(style[`border${name}Width`]),
      line: style[`border${name}Style`],
      color: style[`border${name}Color`],
      contrast: contrast(style[`border${name}Color`]),
    });
    return { left: side('Left'), right: side('Right'), bottom: side('Bottom'), text: contrast(style.color) };
  });
}

// Check that in every theme a claim that fails has a frame all around, stronger than that of any other; that one which passes on
// evidence that is out of date is not green; and that the lines under values can be seen.
test('marks of verdicts and values', { skip }, async (t) => {
  const site = await serve(MARKS);
  t.after(() => site.end());
  const page = await open(browser);
  for (const theme of THEMES) {
    await page.goto(`${site.address}/one.html`);
    await page.evaluate((name) => { document.documentElement.className = name; }, theme);
    const failed = await marks(page, '.qed-claim.qed-fail');
    const says = `${theme}: ${JSON.stringify(failed)}`;
    assert.ok(failed.left.width >= 9 && failed.left.line === 'double', says);
    assert.ok(failed.right.width >= 3 && failed.bottom.width >= 3 && failed.right.line === 'solid', says);
    assert.equal(failed.right.color, 'rgb(192, 57, 43)', says);
    const old = await marks(page, '.qed-claim.qed-pass.qed-old');
    assert.ok(old.left.line === 'dashed' && old.right.width < failed.right.width, `${theme}: ${JSON.stringify(old)}`);
    const [red, green, blue] = old.left.color.match(/\d+/g);
    assert.ok(red === green && green === blue, `${theme}: ${old.left.color}`);
    await page.locator('.qed-claim.qed-old').first().evaluate((element) => element.classList.remove('qed-old'));
    const fresh = await marks(page, '.qed-claim.qed-pass');
    assert.ok(fresh.left.line === 'solid' && fresh.left.color !== old.left.color, `${theme}: ${JSON.stringify(fresh)}`);
    for (const value of ['main p > .qed', 'main td > .qed']) {
      const { bottom } = await marks(page, value);
      assert.ok(bottom.width >= 2 && bottom.line !== 'none' && bottom.contrast >= 4.5, `${theme}, ${value}: ${JSON.stringify(bottom)}`);
    }
    const badge = await marks(page, '.qed-fail .qed-badge-own');
    assert.ok(badge.text >= 4.5, `${theme}: ${JSON.stringify(badge)}`);
  }
});
