// A built book on disk: its pages, and a server for them on the loopback interface.
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

const TYPES = {
  '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.js': 'text/javascript',
  '.json': 'application/json', '.svg': 'image/svg+xml', '.woff2': 'font/woff2',
};

/** Paths of all pages below `site`, relative to it and sorted. Pages that only forward to another are left out. */
export function pages(site) {
  if (!existsSync(site)) throw new Error(`${site} does not exist: build the book first`);
  const found = readdirSync(site, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.html'))
    // mdBook shows it in a frame where scripts are disabled.
    .filter((name) => path.basename(name) !== 'toc.html')
    .sort();
  if (found.length === 0) throw new Error(`${site} holds no page: build the book first`);
  return found;
}

/** Serves `site`; gives back its address and a function that ends it. A missing page is 404.html with status 404. */
export async function serve(site) {
  const root = path.resolve(site);
  const server = createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    let file = path.join(root, name.endsWith('/') ? `${name}index.html` : name);
    let status = 200;
    if (!file.startsWith(root) || !existsSync(file) || statSync(file).isDirectory()) {
      file = path.join(root, '404.html');
      status = 404;
    }
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(status, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    end: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
