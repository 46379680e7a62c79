// Every page of a built book, as its readers see it. QED_SITE names the book's folder; else it is site/ of this checkout.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { VIEWS, open, start } from '../lib/browser.mjs';
import { looks } from '../lib/looks.mjs';
import { pages, serve } from '../lib/site.mjs';

const SITE = process.env.QED_SITE ?? path.join(new URL('.', import.meta.url).pathname, '../../site');

let browser;
let site;
before(async () => {
  site = await serve(SITE);
  browser = await start();
});
after(async () => {
  await browser?.close();
  site?.end();
});

for (const view of VIEWS) {
  // Check that no page overflows, cuts a picture off, or fails a serious rule of accessibility.
  test(`every page, ${view.name}`, async () => {
    const page = await open(browser, view);
    const found = [];
    for (const name of pages(SITE)) {
      await page.goto(`${site.address}/${name}`, { waitUntil: 'load' });
      // The page to print has all others in it, and is most of the work: once is enough for the rules of accessibility.
      const accessible = view === VIEWS[0] || name !== 'print.html';
      for (const finding of await looks(page, { accessible, contrast: !view.coloursOf })) found.push(`${name}: ${finding}`);
    }
    assert.ok(found.length === 0, `${found.length} findings:\n${found.join('\n')}`);
  });
}
