// The sum that must hold in every commit: what was received is in stock, held by an order, or sold.

import { asCommand, command, curl } from "./as-command.js";
import { h, panelHead, setText } from "./dom.js";
import { count, counted } from "./format.js";

const TERMS = [["received", ""], ["stock", "="], ["held", "+"], ["sold", "+"]];

class StockCheck extends HTMLElement {
  #note = h("span", { class: "note" });
  #figures = new Map(TERMS.map(([name]) => [name, h("dd")]));
  #result = h("p");
  #command = asCommand();
  #bar = new Map(["stock", "held", "sold"].map((name) => [name, h("span", { class: `part ${name}` })]));

  connectedCallback() {
    const terms = TERMS.map(([name, sign]) => h("div", { "data-sign": sign }, h("dt", {}, name), this.#figures.get(name)));
    this.append(
      panelHead("Stock check", this.#note, this.#command),
      h("dl", { class: "figures sum" }, ...terms),
      h("div", { class: "stock-bar", "aria-hidden": "true" }, ...this.#bar.values()),
      this.#result);
  }

  update({ stock }) {
    for (const [name, figure] of this.#figures) {
      setText(figure, count(stock[name]));
    }
    for (const [name, part] of this.#bar) {
      part.style.flexGrow = stock[name] ?? 0;
    }
    this.#command.lines = [["curl", curl("status")], ["command", command("status")]];
    setText(this.#note, `copies of ${counted(stock.products, "product")}, on the shards that answer`);
    this.#result.className = stock.adds_up ? "good" : "bad";
    setText(this.#result, stock.adds_up ? "It adds up: received = stock + held + sold." : this.#drift(stock));
  }

  #drift({ received, stock, held, sold }) {
    return `It does not add up: ${count(received - stock - held - sold)} copies are missing.`;
  }
}

customElements.define("stock-check", StockCheck);
