// One measure of all shards over 15 minutes, drawn on a canvas: a line a shard, and a cursor that says what was when.

import { h, setText, shardColour } from "./dom.js";
import { LENGTH } from "./history.js";

const HEIGHT = 92;
const TOP = 6;
const BOTTOM = 3;
/** The times of the vertical lines, in samples before the newest. */
const TICKS = [300, 600];

class TimePlot extends HTMLElement {
  #title = "";
  #format = String;
  #step = 10;
  #combine = null;
  #now = h("span", { class: "plot-now" });
  #top = h("span", { class: "plot-top" });
  #readout = h("span", { class: "plot-readout" });
  #canvas = h("canvas", { role: "img" });
  #lines = [];
  #cursor = null;

  /**
   * Sets what is plotted.
   * @param {{title: string, unit: string, format: function(number): string, combine: "sum"|"max", step?: number}} settings
   *   `combine` says which one figure stands for all shards; each unit of the measure is `step` of the one below it
   */
  set settings({ title, unit, format, combine, step = 10 }) {
    this.#title = title;
    this.#format = format;
    this.#step = step;
    this.#combine = combine;
    const what = combine === "sum" ? "sum of all shards" : "highest of all shards";
    this.#now.title = what;
    this.append(
      h("div", { class: "plot-head" }, h("h3", {}, title, h("span", { class: "unit" }, unit && ` ${unit}`)), this.#now),
      h("div", { class: "plot-area" }, this.#canvas, this.#top),
      this.#readout);
    new ResizeObserver(() => this.draw()).observe(this.#canvas);
  }

  /** Takes the samples of each shard, the newest last. */
  set lines(lines) {
    this.#lines = lines;
    this.draw();
  }

  /** Sets the sample that is read out, counted back from the newest; null for none. */
  set cursor(cursor) {
    this.#cursor = cursor;
    this.draw();
  }

  draw() {
    const width = this.#canvas.clientWidth;
    if (width === 0 || this.#lines.length === 0) {
      return;
    }
    const scale = devicePixelRatio;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(HEIGHT * scale);
    const context = this.#canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(this);
    const top = ceiling(highest(this.#lines), this.#step);
    this.#drawGrid(context, width, style);
    this.#lines.forEach((samples, shard) => {
      context.strokeStyle = style.getPropertyValue(shardColour(shard));
      drawLine(context, samples, width, top);
    });
    this.#describe(top);
    if (this.#cursor !== null) {
      this.#drawCursor(context, width, style);
    }
  }

  #drawGrid(context, width, style) {
    context.strokeStyle = style.getPropertyValue("--line");
    context.lineWidth = 1;
    context.beginPath();
    for (const y of [TOP, (TOP + HEIGHT - BOTTOM) / 2, HEIGHT - BOTTOM]) {
      context.moveTo(0, Math.round(y) + 0.5);
      context.lineTo(width, Math.round(y) + 0.5);
    }
    for (const tick of TICKS) {
      const x = Math.round(width * (1 - tick / LENGTH)) + 0.5;
      context.moveTo(x, TOP);
      context.lineTo(x, HEIGHT - BOTTOM);
    }
    context.stroke();
  }

  #drawCursor(context, width, style) {
    const x = Math.round(width * (1 - this.#cursor / LENGTH)) - 0.5;
    context.strokeStyle = style.getPropertyValue("--ink");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, HEIGHT);
    context.stroke();
  }

  #describe(top) {
    const at = (back) => this.#lines.map((samples) => samples[LENGTH - 1 - back]);
    const one = (values) => {
      const known = values.filter(Number.isFinite);
      if (known.length === 0) {
        return NaN;
      }
      return this.#combine === "sum" ? known.reduce((sum, value) => sum + value, 0) : Math.max(...known);
    };
    const now = one(at(0));
    setText(this.#now, this.#format(now));
    setText(this.#top, this.#format(top));
    const peak = this.#format(highest(this.#lines));
    this.#canvas.setAttribute("aria-label", `${this.#title}: now ${this.#format(now)}, at most ${peak} a shard in 15 minutes`);
    this.#readout.replaceChildren(...this.#readings(at(this.#cursor ?? 0)));
  }

  #readings(values) {
    if (this.#cursor === null) {
      return [];
    }
    return values.slice(0, 8).map((value, shard) => {
      const reading = h("span", {}, this.#format(value));
      reading.style.setProperty("--dot", `var(${shardColour(shard)})`);
      return reading;
    });
  }
}

function highest(lines) {
  let most = 0;
  for (const samples of lines) {
    for (const value of samples) {
      if (value > most) {
        most = value;
      }
    }
  }
  return most;
}

/** The numbers between 1 and 10 at which an axis may end. */
const ROUND = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** The next round number, in the measure's unit of that size. */
function ceiling(value, step) {
  if (value <= 0) {
    return 1;
  }
  const unit = step ** Math.floor(Math.log(value) / Math.log(step));
  const power = 10 ** Math.floor(Math.log10(value / unit));
  return ROUND.find((factor) => factor * power * unit >= value * 0.999) * power * unit;
}

/**
 * Draws a line through the means of some samples each, over a paler band from the lowest to the highest of them, so that
 * no peak is lost.
 */
function drawLine(context, samples, width, top) {
  const columns = Math.min(LENGTH, Math.floor(width / 1.5));
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP);
  const line = new Path2D();
  const band = new Path2D();
  let isDrawing = false;
  for (let column = 0; column < columns; column += 1) {
    const from = Math.floor((column * LENGTH) / columns);
    const to = Math.floor(((column + 1) * LENGTH) / columns);
    const known = samples.subarray(from, to).filter(Number.isFinite);
    if (known.length === 0) {
      isDrawing = false;
      continue;
    }
    const x = ((column + 0.5) * width) / columns;
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    line[isDrawing ? "lineTo" : "moveTo"](x, y(mean));
    band.moveTo(x, y(Math.min(...known)) + 0.4);
    band.lineTo(x, y(Math.max(...known)) - 0.4);
    isDrawing = true;
  }
  context.lineJoin = "round";
  context.globalAlpha = 0.28;
  context.lineWidth = width / columns;
  context.stroke(band);
  context.globalAlpha = 1;
  context.lineWidth = 1.4;
  context.stroke(line);
}

customElements.define("time-plot", TimePlot);
