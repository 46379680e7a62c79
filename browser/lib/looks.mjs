// What can be wrong with the looks of a page. Each check gives back a list of findings, a line each; none is good.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ALLOWED } from './allowed.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Rules of WCAG 2.1 at levels A and AA (https://www.w3.org/TR/WCAG21/), and of good practice. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];

/**
 * What reaches beyond the right edge of the window and cannot be scrolled to in a box of its own. mdBook hides the
 * overflow of the body, so a scroll bar would not show it.
 */
export function overflow(page) {
  return page.evaluate(() => {
    const scrolls = (element) => ['auto', 'scroll'].includes(getComputedStyle(element).overflowX);
    const main = document.querySelector('main') ?? document.body;
    const found = [];
    for (const element of main.querySelectorAll('*')) {
      const box = element.getBoundingClientRect();
      if (box.width === 0 || box.height === 0 || box.right <= window.innerWidth + 1) continue;
      let inside = element.parentElement;
      while (inside && inside !== main && !scrolls(inside)) inside = inside.parentElement;
      if (inside && inside !== main) continue;
      const what = element.tagName.toLowerCase() + (element.className?.baseVal ?? element.className ?? '').toString()
        .split(/\s+/).filter(Boolean).map((name) => `.${name}`).join('');
      found.push(`${what} reaches ${Math.round(box.right - window.innerWidth)} px beyond the window: `
        + (element.textContent ?? '').trim().slice(0, 60));
    }
    return found;
  });
}

/** Text and shapes of a picture that lie outside of it and so are cut off. */
export function clippedPictures(page) {
  return page.evaluate(() => {
    const found = [];
    for (const svg of document.querySelectorAll('main svg')) {
      const frame = svg.getBoundingClientRect();
      if (frame.width === 0 || getComputedStyle(svg).overflow === 'visible') continue;
      for (const part of svg.querySelectorAll('text, rect, circle, ellipse, line, path, polygon, polyline, image')) {
        if (part.closest('defs, clipPath, mask, marker, pattern, symbol')) continue;
        const box = part.getBoundingClientRect();
        if (box.width === 0 && box.height === 0) continue;
        const out = Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom);
        if (out > 2) {
          found.push(`<${part.tagName}> is cut off by ${Math.round(out)} px: ${(part.textContent ?? '').trim().slice(0, 60)}`);
        }
      }
    }
    return found;
  });
}

/**
 * Words in a picture that cannot be read well: smaller than 9 or greater than 26 CSS pixels as they are drawn, or with
 * other words over them.
 */
export function unreadablePictures(page) {
  return page.evaluate(() => {
    const found = [];
    for (const svg of document.querySelectorAll('main svg')) {
      const scale = svg.getScreenCTM()?.a;
      if (!scale || svg.getBoundingClientRect().width === 0) continue;
      const texts = [...svg.querySelectorAll('text')].map((text) => ({
        said: text.textContent.trim().slice(0, 60),
        size: parseFloat(getComputedStyle(text).fontSize) * scale,
        box: text.getBoundingClientRect(),
      }));
      for (const { said, size } of texts) {
        if (size < 9 || size > 26) found.push(`text of ${Math.round(size)} px in a picture: ${said}`);
      }
      texts.forEach((one, index) => {
        for (const other of texts.slice(index + 1)) {
          const wide = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
          const high = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
          // The boxes of two lines of text overlap a little where their letters do not.
          if (wide > 2 && high > 5 * scale) found.push(`text over text in a picture: ${one.said} | ${other.said}`);
        }
      });
      const [title, desc] = ['title', 'desc'].map((name) => svg.querySelector(`:scope > ${name}`)?.textContent.trim());
      if (svg.closest('.qed-exhibit') && !(title && desc)) found.push('a picture without title or description');
    }
    return found;
  });
}

/** Text of our own blocks that is wider than its box and has to be scrolled to. */
export function hiddenText(page) {
  return page.evaluate(() => [...document.querySelectorAll('.qed-claim, .qed-exhibit')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => `a block hides ${box.scrollWidth - box.clientWidth} px: ${box.textContent.trim().slice(0, 60)}`));
}

/** Long numbers that are broken in the middle: half an address looks like another one. */
export function brokenNumbers(page) {
  return page.evaluate(() => {
    const found = [];
    const walker = document.createTreeWalker(document.querySelector('main') ?? document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      for (const { 0: number, index } of node.data.matchAll(/\b0x[0-9a-f]{8,}\b/gi)) {
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + number.length);
        const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
        if (boxes.length > 1) found.push(`a number is broken into ${boxes.length} parts: ${number}`);
      }
    }
    return found;
  });
}

/**
 * Serious and critical violations that axe finds, but for those that mdBook itself makes on every book. Contrast is
 * four tenths of axe's time: `contrast: false` leaves it out where another view has the same colours.
 */
export async function accessibility(page, { contrast = true } = {}) {
  await page.evaluate(AXE);
  return page.evaluate(async ({ rules, allowed, contrast }) => {
    // A value in the author's link has the colour of that link.
    const ours = (element) => !element.matches('a > .qed') && element.closest('[class^="qed"], [class*=" qed"]');
    const { violations } = await window.axe.run(document, {
      runOnly: rules,
      rules: { 'color-contrast': { enabled: contrast } },
      resultTypes: ['violations'],
    });
    const found = [];
    for (const violation of violations) {
      if (!['serious', 'critical'].includes(violation.impact)) continue;
      const nodes = violation.nodes.filter((node) => {
        const element = document.querySelector(node.target.flat()[0]);
        return !element || ours(element)
          || !allowed.some(({ rule, selector }) => rule === violation.id && element.matches(selector));
      });
      if (nodes.length === 0) continue;
      // Of many like it, the first says enough.
      const [first] = nodes;
      const why = [...first.any, ...first.all, ...first.none].map((check) => check.message).join('; ');
      found.push(`${violation.id}, ${nodes.length} of them: ${first.target.flat().join(' ')}: ${why}`);
    }
    return found;
  }, { rules: RULES, allowed: ALLOWED, contrast });
}

/** Everything above, `accessibility` with its options and only if it is asked for. */
export async function looks(page, { accessible = true, contrast = true } = {}) {
  const found = [];
  for (const check of [overflow, clippedPictures, unreadablePictures, hiddenText, brokenNumbers]) found.push(...await check(page));
  if (accessible) found.push(...await accessibility(page, { contrast }));
  return found;
}
