// The plots of the last 15 minutes, with one cursor for all of them.

import "./time-plot.js";
import { asCommand, command, curl } from "./as-command.js";
import { h, panelHead, setText, shardDot } from "./dom.js";
import { bytes, clock, count, duration, measure, milliseconds, rate } from "./format.js";
import { LENGTH } from "./history.js";

/** @type {Array<[string, {title: string, unit: string, format: function, combine: string}]>} by metric */
const PLOTS = [
  ["requests_per_s", { title: "Requests", unit: "/s", format: rate, combine: "sum" }],
  ["errors_per_s", { title: "Errors", unit: "/s", format: rate, combine: "sum" }],
  ["p50_ms", { title: "p50", unit: "", format: milliseconds, combine: "max" }],
  ["p99_ms", { title: "p99", unit: "", format: milliseconds, combine: "max" }],
  ["commit_p99_ms", { title: "Commit p99", unit: "", format: milliseconds, combine: "max" }],
  ["batch_size", { title: "Batch", unit: "writes a commit", format: measure, combine: "max" }],
  ["queue", { title: "Queue", unit: "commands", format: count, combine: "sum" }],
  ["open_orders", { title: "Open orders", unit: "", format: count, combine: "sum" }],
  ["memory_bytes", { title: "Memory", unit: "", format: bytes, combine: "sum", step: 1024 }],
  ["records", { title: "Records", unit: "", format: count, combine: "sum" }],
  ["idempotency_keys", { title: "Live keys", unit: "", format: count, combine: "sum" }],
];

class TimePlots extends HTMLElement {
  #plots = PLOTS.map(([metric, settings]) => {
    const plot = h("time-plot", { "data-metric": metric });
    plot.settings = settings;
    return plot;
  });
  #legend = h("ul", { class: "legend", "aria-label": "Colours" });
  #interval = h("span", { class: "note" });
  #command = asCommand();
  #slider = h("input", {
    type: "range", min: 0, max: LENGTH - 1, value: LENGTH - 1, "aria-label": "Time that is read out",
    oninput: () => this.#moveTo(LENGTH - 1 - this.#slider.valueAsNumber),
    onblur: () => this.#moveTo(null),
  });
  #time = h("output");
  #status = null;

  connectedCallback() {
    const area = h("div", { class: "plots" }, ...this.#plots);
    area.addEventListener("pointermove", (event) => this.#point(event));
    area.addEventListener("pointerleave", () => this.#moveTo(null));
    this.append(
      panelHead("The last 15 minutes", this.#legend, this.#interval, this.#command),
      area,
      h("div", { class: "time-axis" },
        h("span", {}, "15 min ago"), this.#slider, h("span", {}, "now"), this.#time));
  }

  update(status, history) {
    this.#status = status;
    while (this.#legend.childElementCount < Math.min(8, status.shards.length)) {
      const shard = this.#legend.childElementCount;
      this.#legend.append(h("li", {}, shardDot(shard), ` shard ${shard}`));
    }
    if (status.shards.length > 8 && this.#legend.childElementCount === 8) {
      this.#legend.append(h("li", {}, "and again from the first colour"));
    }
    setText(this.#interval, `a sample each ${status.interval_s} s`);
    for (const plot of this.#plots) {
      plot.lines = status.shards.map((_, shard) => history.samples(shard, plot.dataset.metric));
    }
    this.#command.lines = [["curl", curl(`status?history=${LENGTH}`)], ["command", command("status", "--watch")]];
  }

  #point(event) {
    const canvas = event.target.closest?.("time-plot")?.querySelector("canvas");
    if (!canvas) {
      return;
    }
    const { left, width } = canvas.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
    this.#moveTo(Math.round((1 - share) * (LENGTH - 1)));
  }

  #moveTo(back) {
    this.#slider.value = LENGTH - 1 - (back ?? 0);
    for (const plot of this.#plots) {
      plot.cursor = back;
    }
    const at = this.#status && new Date(Date.parse(this.#status.at) - (back ?? 0) * this.#status.interval_s * 1000);
    const text = back === null || at === null ? "" : `${duration(back)} ago, at ${clock(at)}`;
    setText(this.#time, text);
    this.#slider.setAttribute("aria-valuetext", text || "now");
  }
}

customElements.define("time-plots", TimePlots);
