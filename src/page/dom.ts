/** What an element is made with: properties of it, and `data-*`, `aria-*`, `class` attributes. */
type Attributes = Readonly<Record<string, string | number | boolean>>;

/** The element of the page with this id. Throws if the page has none: a bug. */
export function byId(id: string): HTMLElement {
  return ofKind(id, HTMLElement);
}

/** The same, if it is of this kind. */
export function ofKind<T extends HTMLElement>(id: string, kind: abstract new () => T): T {
  const found = document.querySelector(`#${id}`);
  if (found instanceof kind) return found;
  throw new TypeError(`the page has no ${kind.name} #${id}`);
}

/** Makes an element. Text is always text: nothing that a profile says is ever read as markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Makes an element of SVG. */
export function svg(
  tag: string,
  attributes: Attributes = {},
  ...children: readonly Node[]
): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Shows which button of a group is chosen. */
export function press(group: HTMLElement, value: string): void {
  for (const button of group.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button.value === value));
  }
}

/** Calls back with the value of the button of a group that is clicked. */
export function onChoice(group: HTMLElement, chosen: (value: string) => void): void {
  group.addEventListener('click', ({ target }) => {
    const button = target instanceof Element ? target.closest('button') : null;
    if (button !== null) chosen(button.value);
  });
}

/** Fills a select, if it has other options than these. */
export function fillSelect(
  select: HTMLSelectElement,
  options: readonly (readonly [value: string, label: string])[],
  chosen: string,
): void {
  const same =
    select.options.length === options.length &&
    options.every(([value], i) => select.options[i]?.value === value);
  if (!same) select.replaceChildren(...options.map(([value, label]) => new Option(label, value)));
  select.value = chosen;
}
