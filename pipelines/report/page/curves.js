// Curves of a scored set.

import { byId, curveColours, make, styleColour } from "./dom.js";

/**
 * What each method keeps at each share, with its interval.
 * @param {any[]} curves `SetCurve`
 */
export function drawCurves(curves) {
  const canvas = /** @type {HTMLCanvasElement} */ (byId("curves")), colours = curveColours();
  if (!curves.length) {
    /** @type {HTMLElement} */ (canvas.parentElement).hidden = true;
    return;
  }
  const width = canvas.clientWidth, height = 260, ratio = devicePixelRatio, left = 40, bottom = 24;
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(ratio, ratio);
  context.font = "12px system-ui, sans-serif";
  const most = Math.max(...curves.flatMap((/** @type {any} */ curve) => curve.points.map((/** @type {number[]} */ point) => point[3])), 100);
  const x = (/** @type {number} */ share) => left + share * (width - left - 8), y = (/** @type {number} */ kept) => height - bottom - (kept / most) * (height - bottom - 10);
  context.fillStyle = styleColour("--quiet");
  context.strokeStyle = styleColour("--line");
  for (let kept = 0; kept <= most; kept += most > 160 ? 50 : 25) {
    context.beginPath();
    context.moveTo(left, y(kept));
    context.lineTo(width - 8, y(kept));
    context.stroke();
    context.fillText(`${kept} %`, 0, y(kept) + 4);
  }
  for (const share of [0.25, 0.5, 0.75]) context.fillText(`${share * 100} %`, x(share) - 12, height - 6);
  curves.forEach((/** @type {any} */ curve, /** @type {number} */ place) => {
    context.strokeStyle = context.fillStyle = colours[place % colours.length];
    context.lineWidth = 1.75;
    context.setLineDash(place >= colours.length ? [4, 3] : []);
    const shift = (place - (curves.length - 1) / 2) * 5; // so that intervals do not cover each other
    context.beginPath();
    for (const [share, kept] of curve.points) context.lineTo(x(share) + shift, y(kept));
    context.stroke();
    for (const [share, kept, low, high] of curve.points) {
      context.beginPath();
      context.moveTo(x(share) + shift, y(low));
      context.lineTo(x(share) + shift, y(high));
      context.stroke();
      context.beginPath();
      context.arc(x(share) + shift, y(kept), 3, 0, 7);
      context.fill();
    }
  });
  canvas.setAttribute("aria-label", curves.map((/** @type {any} */ curve) => `${curve.method}: ${curve.points.map((/** @type {number[]} */ p) => `${p[1].toFixed(0)} % at ${p[0] * 100} % hidden`).join(", ")}`).join("; "));
  byId("curve-names").replaceChildren(...curves.map((/** @type {any} */ curve, /** @type {number} */ place) => {
    const swatch = make("i", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colours[place % colours.length];
    return make("span", {}, swatch, curve.method);
  }));
}
