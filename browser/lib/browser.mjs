// Debian's Chromium, and the ways in which readers look at a book.
import { chromium } from 'playwright-core';

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Starts the browser. The sandbox needs privileges that a container does not give; the pages are our own. */
export function start() {
  return chromium.launch({ executablePath: PROGRAM, args: ['--no-sandbox', '--disable-gpu'] });
}

/** How a page is looked at: mdBook's theme, the width of the window in CSS pixels, and the view that has the same colours. */
export const VIEWS = [
  { name: 'light', theme: 'light', width: 1280 },
  { name: 'navy', theme: 'navy', width: 1280 },
  { name: '400 px wide', theme: 'light', width: 400, coloursOf: 'light' },
];

/** All themes that mdBook brings. */
export const THEMES = ['light', 'rust', 'coal', 'navy', 'ayu'];

/** A fresh page in one view. With `scripts: false` nothing of the page runs, as for a reader without JavaScript. */
export async function open(browser, { theme = 'light', width = 1280, scripts = true } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    javaScriptEnabled: scripts,
    reducedMotion: 'reduce',
  });
  await context.addInitScript((name) => localStorage.setItem('mdbook-theme', name), theme);
  return context.newPage();
}
