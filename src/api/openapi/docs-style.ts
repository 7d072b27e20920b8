/** The style of the page. It stands in the page itself, and the policy of the page names its digest. */
export const DOCS_STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --link: light-dark(#0550ae, #79c0ff); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
code { font: .9em ui-monospace, monospace; background: var(--soft); padding: .1em .3em; border-radius: 3px; }
nav ul { list-style: none; padding: 0; columns: 20rem; }
nav li { break-inside: avoid; }
section { border-top: 1px solid var(--line); padding-top: .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
.method { display: inline-block; min-width: 5em; font-weight: 700; }
.role { border: 1px solid var(--line); border-radius: 1em; padding: 0 .6em; font-size: .85em; white-space: nowrap; }
details { margin: .5rem 0; }
summary { cursor: pointer; }
[id^=schema] { scroll-margin-top: 3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92em; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }
`;
