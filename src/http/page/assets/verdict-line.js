// The first thing to read: whether all is well, or the one worst thing and what to do about it. Below it the figures
// of the facade that answers.

import { asCommand, command, curl } from "./as-command.js";
import { h, setText } from "./dom.js";
import { count, duration, milliseconds, rate } from "./format.js";

/** @type {Array<[string, string, function(Object): string]>} name, unit and text of each figure */
const FIGURES = [
  ["Reads", "/s", (facade) => rate(facade.requests_per_s?.reads)],
  ["Writes", "/s", (facade) => rate(facade.requests_per_s?.writes)],
  ["Orders", "/s", (facade) => rate(facade.requests_per_s?.orders)],
  ["Errors", "/s", (facade) => rate(facade.errors_per_s)],
  ["p50", "", (facade) => milliseconds(facade.p50_ms)],
  ["p99", "", (facade) => milliseconds(facade.p99_ms)],
  ["Connections", "", (facade) => count(facade.connections)],
  ["Viewers", "", (facade) => count(facade.viewers)],
  ["Up", "", (facade) => duration(facade.uptime_s)],
];

class VerdictLine extends HTMLElement {
  #text = h("strong");
  #action = h("span");
  #help = h("code");
  #interval = h("p", { class: "note" });
  #figures = FIGURES.map(([name, unit]) => {
    const value = h("span");
    return { value, entry: h("div", {}, h("dt", {}, name), h("dd", {}, value, h("small", {}, unit))) };
  });
  #command = asCommand();

  connectedCallback() {
    setText(this.#text, "Asking the store.");
    this.append(
      h("div", { class: "verdict", role: "status" }, h("span", { class: "lamp", "aria-hidden": "true" }),
        h("div", {}, this.#text, h("p", { class: "verdict-action" }, this.#action, " ", this.#help))),
      h("div", { class: "verdict-figures" },
        h("dl", { class: "figures" }, ...this.#figures.map(({ entry }) => entry)), this.#interval, this.#command));
  }

  /** Tells that the facade itself is away: it can tell nothing then. */
  reach({ state, problem }) {
    if (state !== "away") {
      return;
    }
    const said = problem?.status ? ` It said: ${problem.message}.` : "";
    this.#judge({ ok: false, code: "away", text: "The facade does not answer.",
      action: `A launcher starts it again by itself, in a second or two, and this page goes on then.${said}` });
  }

  update(status) {
    const { facade, interval_s: interval } = status;
    this.#judge(status.verdict);
    FIGURES.forEach(([, , text], index) => setText(this.#figures[index].value, text(facade)));
    this.dataset.failing = facade.errors_per_s > 0;
    setText(this.#interval, `This facade; rates over ${interval} s.`);
    this.#command.lines = [["curl", curl("status")], ["command", command("status", "--watch")]];
  }

  #judge(verdict) {
    this.dataset.ok = verdict.ok;
    this.dataset.code = verdict.code;
    setText(this.#text, verdict.text);
    setText(this.#action, verdict.action ?? "");
    setText(this.#help, verdict.command ?? "");
  }
}

customElements.define("verdict-line", VerdictLine);
