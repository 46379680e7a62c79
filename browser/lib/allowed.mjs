// Violations that mdBook 0.5 makes on every book, with or without QED: the rule of axe, which elements (CSS), and why
// it is not ours to mend. Nothing inside of our own markup is ever allowed; see `accessibility` in looks.mjs.
export const ALLOWED = [
  {
    rule: 'aria-allowed-attr',
    selector: '#mdbook-sidebar-toggle',
    why: "mdBook's sidebar button is a label that says whether the sidebar is open",
  },
  {
    rule: 'aria-prohibited-attr',
    selector: '#mdbook-sidebar-toggle',
    why: "mdBook's sidebar button is a label with a name",
  },
  {
    rule: 'color-contrast',
    selector: '#mdbook-sidebar *, main a, main a *, main .blockquote-tag-title *, main .blockquote-tag-title',
    why: "link and sidebar colours of mdBook's themes",
  },
  {
    rule: 'link-in-text-block',
    selector: 'main a',
    why: 'mdBook tells links from text by their colour alone',
  },
  {
    rule: 'color-contrast',
    selector: 'main pre > code, main pre > code *',
    why: "colours of mdBook's syntax highlighting",
  },
  {
    rule: 'scrollable-region-focusable',
    selector: 'main pre, main pre > code',
    why: "mdBook's code blocks scroll and cannot be focused",
  },
  {
    rule: 'scrollable-region-focusable',
    selector: 'main .table-wrapper, #mdbook-sidebar *, #mdbook-sidebar',
    why: "mdBook's tables and sidebar scroll and cannot be focused",
  },
];
