// The shards, one a row: which slots it owns, how it is, what it does.

import { asCommand, command, curl } from "./as-command.js";
import { h, panelHead, setText, shardDot } from "./dom.js";
import { bytes, count, elapsed, measure, milliseconds, rate, UNKNOWN } from "./format.js";
import { total } from "./history.js";

const STATES = {
  up: ["good", "up"],
  read_only: ["warn", "read only"],
  full: ["warn", "full"],
  down: ["bad", "down"],
};

/**
 * The columns after shard and state. A class `wide` hides one where there is little room.
 * @type {Array<[string, string, function(Object, Object): string]>} title, class, text
 */
const COLUMNS = [
  ["Slots", "number wide", (shard) => shard.slots.map(({ first, last }) => `${count(first)}–${count(last)}`).join(", ")],
  ["Records", "number", (shard) => count(shard.records_total)],
  ["Memory", "number memory", (shard) => bytes(shard.memory_bytes)],
  ["Requests/s", "number", (shard) => rate(total(shard.requests_per_s))],
  ["Errors/s", "number wide", (shard) => rate(shard.errors_per_s)],
  ["p50", "number wide", (shard) => milliseconds(shard.p50_ms)],
  ["p99", "number", (shard) => milliseconds(shard.p99_ms)],
  ["Commits/s", "number wide", (shard) => rate(shard.commits_per_s)],
  ["Commit p99", "number", (shard) => milliseconds(shard.commit_p99_ms)],
  ["Batch", "number wide", (shard) => measure(shard.batch_size)],
  ["Queue", "number wide", (shard) => count(shard.queue)],
  ["Free disk", "number wide", (shard) => bytes(shard.free_disk_bytes)],
  ["Since", "number", (shard, status) => elapsed(shard.since, status.at)],
];

class ShardTable extends HTMLElement {
  #note = h("span", { class: "note" });
  #command = asCommand();
  #body = h("tbody");
  #rows = [];

  connectedCallback() {
    const titles = COLUMNS.map(([title, name]) => h("th", { class: name, scope: "col" }, title));
    this.append(
      panelHead("Shards", this.#note, this.#command),
      h("div", { class: "table-box", role: "region", "aria-label": "Shards", tabindex: "0" },
        h("table", { class: "shards" },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Shard"), h("th", { scope: "col" }, "State"), ...titles)),
          this.#body)));
  }

  update(status) {
    while (this.#rows.length < status.shards.length) {
      this.#rows.push(this.#makeRow(this.#rows.length));
    }
    status.shards.forEach((shard, index) => this.#fill(this.#rows[index], shard, status));
    setText(this.#note, `Rates, p50, p99 and batch over ${status.interval_s} s; since: in this state`);
    this.#command.lines = [["curl", curl("status")], ["command", command("status")]];
  }

  #makeRow(index) {
    const state = h("span", { class: "tag" });
    const cells = COLUMNS.map(([title, name]) => h("td", { class: name, "data-title": title }));
    const row = h("tr", { "data-shard": index },
      h("th", { scope: "row", class: "shard-name" }, shardDot(index), ` ${index}`), h("td", {}, state), ...cells);
    this.#body.append(row);
    return { row, state, cells };
  }

  #fill({ row, state, cells }, shard, status) {
    const [tone, name] = STATES[shard.state];
    row.dataset.state = shard.state;
    state.className = `tag ${tone}`;
    setText(state, name);
    COLUMNS.forEach(([, , text], index) => setText(cells[index], text(shard, status)));
    const memory = cells.find((cell) => cell.classList.contains("memory"));
    const share = shard.max_memory_bytes ? shard.memory_bytes / shard.max_memory_bytes : 0;
    memory.style.setProperty("--share", share);
    memory.title = shard.max_memory_bytes ? `of ${bytes(shard.max_memory_bytes)} at most` : UNKNOWN;
  }
}

customElements.define("shard-table", ShardTable);
