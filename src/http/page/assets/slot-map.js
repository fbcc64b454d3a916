// The 16,384 slots as a map: who owns each, how many records it has, how often it was asked in the last minute. A
// customer's id decides the slot, and the slot's owner is the shard.

import { read } from "./api.js";
import { asCommand, curl } from "./as-command.js";
import { h, panelHead, setText, shardColour, shardDot } from "./dom.js";
import { count } from "./format.js";
import { paintSlots } from "./slot-paint.js";

const SLOTS = 16_384;
/** The time between two readings of the counts, in milliseconds: each one is 16,384 numbers from every shard. */
const INTERVAL_MS = 10_000;
/** The width of the map in slots, for wide and narrow pages. Both make rows of whole powers of two. */
const WIDE = 256;
const NARROW = 128;
/** The width from which the wide map fits, in pixels. */
const WIDE_FROM = 700;

const VIEWS = [["owner", "Owner"], ["records", "Records"], ["requests", "Requests"]];

class SlotMap extends HTMLElement {
  #canvas = h("canvas", { role: "img", "aria-label": "Map of the slots", width: 256, height: 64 });
  #note = h("span", { class: "note" });
  #readout = h("p", { class: "slot-readout" });
  #scale = h("span", { class: "note" });
  #command = asCommand();
  #slot = h("input", { type: "number", min: 0, max: SLOTS - 1, "aria-label": "Slot", placeholder: "slot",
    oninput: () => this.#pin(this.#slot.value === "" ? null : this.#slot.valueAsNumber) });
  #view = "requests";
  /** @type {{requests: number[], records: number[], interval_s: number}|null} */
  #counts = null;
  #readAt = -Infinity;
  #owners = new Uint16Array(SLOTS);
  #layout = "";
  #pinned = null;
  #hovered = null;

  connectedCallback() {
    const views = VIEWS.map(([name, label]) => h("label", {}, h("input", {
      type: "radio", name: "slot-view", value: name, checked: name === this.#view, onchange: () => this.#choose(name),
    }), label));
    this.#canvas.addEventListener("pointermove", (event) => this.#hover(this.#slotAt(event)));
    this.#canvas.addEventListener("pointerleave", () => this.#hover(null));
    this.#canvas.addEventListener("click", (event) => this.mark(this.#slotAt(event)));
    this.append(
      panelHead("Slots", this.#note, h("fieldset", { class: "choice" }, h("legend", { class: "unseen" }, "Show"), ...views)),
      this.#canvas,
      h("div", { class: "slot-foot" }, this.#slot, this.#readout, this.#scale),
      this.#command);
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
  }

  /** Marks a slot and reads it out. */
  mark(slot) {
    this.#slot.value = slot;
    this.#pin(slot);
  }

  update(status) {
    this.#command.lines = [["curl", curl("status/slots")]];
    const layout = JSON.stringify(status.shards.map(({ slots }) => slots));
    if (layout !== this.#layout) {
      this.#layout = layout;
      status.shards.forEach(({ shard, slots }) => slots.forEach(({ first, last }) => this.#owners.fill(shard, first, last + 1)));
      setText(this.#note, `${count(SLOTS)} slots, each owned by one of ${status.shards.length} shards`);
      this.#draw();
    }
    if (performance.now() - this.#readAt > INTERVAL_MS) {
      this.#readAt = performance.now();
      this.#readCounts();
    }
  }

  async #readCounts() {
    try {
      this.#counts = await read("status/slots");
    } catch {
      // The last counts stay; the next reading is due in a few seconds, and the page says when the store is away.
    }
    this.#draw();
  }

  #choose(view) {
    this.#view = view;
    this.#draw();
  }

  get #columns() {
    return this.#canvas.clientWidth >= WIDE_FROM ? WIDE : NARROW;
  }

  #slotAt(event) {
    const box = this.#canvas.getBoundingClientRect();
    const columns = this.#columns;
    const rows = SLOTS / columns;
    const column = Math.min(columns - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * columns)));
    const row = Math.min(rows - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * rows)));
    return row * columns + column;
  }

  #pin(slot) {
    this.#pinned = Number.isInteger(slot) && slot >= 0 && slot < SLOTS ? slot : null;
    this.#draw();
  }

  #hover(slot) {
    if (slot !== this.#hovered) {
      this.#hovered = slot;
      this.#readOut();
    }
  }

  #draw() {
    if (this.#canvas.clientWidth === 0 || this.#layout === "") {
      return;
    }
    const values = this.#view === "owner" ? null : this.#counts?.[this.#view] ?? null;
    const most = paintSlots(this.#canvas, {
      columns: this.#columns,
      owners: this.#owners,
      values,
      marked: this.#pinned,
      style: getComputedStyle(this),
      colourOf: shardColour,
    });
    const per = this.#view === "records" ? "records" : `requests in ${this.#counts?.interval_s ?? 60} s`;
    setText(this.#scale, values ? `pale: none; full: ${count(most)} ${per}` : "");
    this.#readOut();
  }

  #readOut() {
    const slot = this.#hovered ?? this.#pinned;
    if (slot === null) {
      setText(this.#readout, "Point at a slot, or type its number.");
      return;
    }
    const shard = this.#owners[slot];
    const counts = this.#counts;
    const figures = counts
      ? `, ${count(counts.records[slot])} records, ${count(counts.requests[slot])} requests in ${counts.interval_s} s` : "";
    this.#readout.replaceChildren(`slot ${count(slot)} `, shardDot(shard), ` shard ${shard}${figures}`);
  }
}

customElements.define("slot-map", SlotMap);
