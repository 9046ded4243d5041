// Make elements, write numbers and times.

/**
 * Make an element. Text goes in as text, never as HTML.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number | boolean | null | undefined>} attributes `text` is its text
 * @param {(Node | string | null)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") element.textContent = String(value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {string} id
 * @returns {Kind}
 */
export function byId(id) {
  return /** @type {Kind} */ (document.getElementById(id));
}

/**
 * Save a file, as the browser saves a download.
 * @param {Blob} content
 * @param {string} name
 */
export function saveFile(content, name) {
  const address = URL.createObjectURL(content);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 5000);
}

/**
 * A time as 0:03.20, or 1:02:03.20.
 * @param {number} second
 */
export function clock(second) {
  const hundredths = Math.max(0, Math.round(second * 100));
  const [hours, minutes] = [Math.floor(hundredths / 360000), Math.floor(hundredths / 6000) % 60];
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/**
 * A number with three digits.
 * @param {number} value
 */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size && (size < 0.001 || size >= 100000)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/**
 * A share in percent.
 * @param {number | null} share
 */
export function percent(share) {
  if (share === null || !Number.isFinite(share)) return "";
  return share > 0 && share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`;
}

/** Colours of curves, one set for light and one for dark pages, safe for the colour-blind. */
export const CURVES = {
  light: ["#b34700", "#0072b2", "#007a58", "#a3307f", "#2f7fb5", "#8f6600", "#5b3a8c", "#4d4d4d"],
  dark: ["#ff9d5c", "#5cb8f0", "#3ddca8", "#f08bd0", "#9ad2ff", "#f2c14e", "#c3a5f5", "#c9ced6"],
};

/** @returns {string[]} the colours of curves for this page */
export function curveColours() {
  return matchMedia("(prefers-color-scheme: dark)").matches ? CURVES.dark : CURVES.light;
}

/**
 * A colour of the page's style.
 * @param {string} name
 */
export function styleColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Sign of each word of a verdict. */
export const SIGNS = /** @type {Record<string, string>} */ ({
  reliable: "✓", doubtful: "?", unreliable: "✗", "not checked": "–", "too short to tell": "–",
});

/**
 * A verdict's sign and word.
 * @param {{word: string, reason: string}} verdict
 */
export function badge({ word, reason }) {
  return make("span", { class: `badge ${word.replaceAll(" ", "-")}`, title: `${word}: ${reason}` },
    make("span", { "aria-hidden": "true", text: SIGNS[word] ?? "–" }), ` ${word}`);
}
