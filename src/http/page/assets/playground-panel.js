// The playground of `launch --playground`: simulated shoppers, a crash button for every process, and the shoppers' own
// count of what the store has lost. It asks for the counts only while the panel is there.

import { read, sendOnce } from "./api.js";
import { asCommand, curl } from "./as-command.js";
import { h, panelHead, setText, shardDot } from "./dom.js";
import { count, counted, duration, milliseconds } from "./format.js";

const MODES = [["ok", "Well"], ["slow", "Slow"], ["refusing", "Refusing"], ["away", "Away"]];
const MAX_RATE = 1000;

/** @type {Array<[string, string, function(Object): string]>} member, name, text; those that must be 0 come first */
const FIGURES = [
  ["lost", "Lost", count],
  ["applied_twice", "Applied twice", count],
  ["stock_drift", "Stock drift", count],
  ["acknowledged", "Acknowledged changes", count],
  ["retried", "Retried", count],
  ["refused", "Refused", count],
  ["unknown", "Outcome unknown", count],
  ["kills", "Kills", count],
  ["longest_wait_ms", "Longest wait", milliseconds],
];
const MUST_BE_ZERO = FIGURES.slice(0, 3).map(([member]) => member);

class PlaygroundPanel extends HTMLElement {
  #note = h("span", { class: "note" });
  #figures = new Map(FIGURES.map(([member]) => [member, h("dd")]));
  #message = h("p", { class: "note", role: "status" });
  #findings = h("ul", { class: "findings bad" });
  #rate = h("input", { type: "range", min: 0, max: MAX_RATE, step: 10, id: "rate",
    oninput: () => this.#sayRate(this.#rate.valueAsNumber), onchange: () => this.#setRate() });
  #rateText = h("output", { for: "rate" });
  #crashes = h("div", { class: "crashes", role: "group", "aria-label": "Crash" });
  #modes = [];
  #command = asCommand();
  #isReading = false;

  connectedCallback() {
    this.#modes = MODES.map(([mode, label]) => {
      const input = h("input", { type: "radio", name: "gateway-mode", value: mode, onchange: () => this.#setGateway(mode) });
      return { mode, input, label: h("label", {}, input, label) };
    });
    const figures = FIGURES.map(([member, name]) =>
      h("div", { "data-figure": member }, h("dt", {}, name), this.#figures.get(member)));
    this.append(
      panelHead("Playground", this.#note, this.#command),
      h("dl", { class: "figures" }, ...figures),
      h("div", { class: "controls" },
        h("label", { class: "rate" }, "Changes/s", this.#rate, this.#rateText),
        h("div", { class: "control" }, h("span", {}, "kill -9"), this.#crashes),
        h("fieldset", { class: "control plain" }, h("legend", {}, "Gateway"),
          h("div", { class: "choice" }, ...this.#modes.map(({ label }) => label))),
        this.#message),
      this.#findings);
  }

  update(status) {
    this.hidden = !status.playground;
    if (this.hidden) {
      return;
    }
    this.#offerCrashes(status.shards.length);
    this.#readCounts();
  }

  #offerCrashes(shards) {
    if (this.#crashes.childElementCount > 0) {
      return;
    }
    const targets = Array.from({ length: shards }, (_, shard) => [`shard-${shard}`, [shardDot(shard), `shard ${shard}`]]);
    for (const [target, label] of [...targets, ["facade", ["facade"]], ["gateway", ["gateway"]]]) {
      this.#crashes.append(h("button", { type: "button", class: "danger", "aria-label": `Crash ${target}`,
        onclick: () => this.#send("playground/crash", { target }, `kill -9 of ${target}`) }, ...label));
    }
    this.#sayCommand("playground/crash", { target: "shard-0" });
  }

  async #readCounts() {
    if (this.#isReading) {
      return;
    }
    this.#isReading = true;
    try {
      this.#show(await read("playground"));
    } catch {
      // The facade may have been crashed just now; the next status asks again.
    } finally {
      this.#isReading = false;
    }
  }

  #show(counts) {
    for (const [member, , text] of FIGURES) {
      setText(this.#figures.get(member), text(counts[member]));
    }
    for (const member of MUST_BE_ZERO) {
      this.#figures.get(member).className = counts[member] === 0 ? "good" : "bad";
    }
    setText(this.#note, `${counted(counts.shoppers, "shopper")} for ${duration(counts.running_s)}, counted by the shoppers`);
    this.#findings.replaceChildren(...counts.findings.map((finding) => h("li", {}, finding)));
    if (document.activeElement !== this.#rate) {
      this.#rate.value = counts.rate_per_s;
      this.#sayRate(counts.rate_per_s);
    }
    for (const { mode, input } of this.#modes) {
      input.checked = mode === counts.gateway;
    }
  }

  #sayRate(rate) {
    setText(this.#rateText, count(rate));
  }

  #setRate() {
    const rate = this.#rate.valueAsNumber;
    this.#rate.blur();
    this.#send("playground/rate", { per_s: rate }, `${counted(rate, "change")} a second`);
  }

  #setGateway(mode) {
    this.#send("playground/gateway", { mode }, `the gateway: ${mode}`);
  }

  async #send(target, body, what) {
    this.#sayCommand(target, body);
    try {
      // Not repeated: a second kill is a kill of its own.
      await sendOnce("POST", target, body);
      setText(this.#message, `Done: ${what}.`);
    } catch (problem) {
      const hasAnswer = problem.status !== 0;
      setText(this.#message, hasAnswer ? `Not done: ${problem.message}.` : `No answer to: ${what}. It may have been lost with the facade.`);
    }
  }

  #sayCommand(target, body) {
    this.#command.lines = [["curl", curl(target, { method: "POST", body })]];
  }
}

customElements.define("playground-panel", PlaygroundPanel);
