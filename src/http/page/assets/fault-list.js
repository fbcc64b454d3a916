// The newest faults: answers with 5xx, each with the request id under which the logs have its cause.

import { asCommand, curl } from "./as-command.js";
import { h, panelHead, shardDot } from "./dom.js";
import { clock } from "./format.js";

const SHOWN = 12;

class FaultList extends HTMLElement {
  #list = h("div");
  #last = null;
  #command = asCommand();

  connectedCallback() {
    this.append(
      panelHead("Newest faults", "answers with 5xx of this facade", this.#command),
      this.#list);
  }

  update({ faults }) {
    this.#command.lines = [["curl", curl("status")], ["log", "grep REQUEST_ID data/error.log"]];
    const newest = JSON.stringify(faults);
    if (newest === this.#last) {
      return;
    }
    this.#last = newest;
    if (faults.length === 0) {
      this.#list.replaceChildren(h("p", { class: "note" }, "None since the facade was started."));
      return;
    }
    const titles = ["Time", "Shard", "Answer", "Route", "What", "Request id"];
    this.#list.replaceChildren(h("div", { class: "table-box", role: "region", "aria-label": "Newest faults", tabindex: "0" },
      h("table", { class: "faults" },
        h("thead", {}, h("tr", {}, ...titles.map((title) => h("th", { scope: "col" }, title)))),
        h("tbody", {}, ...faults.slice(0, SHOWN).map(row)))));
  }
}

function row(fault) {
  const shard = fault.shard === null ? ["–"] : [shardDot(fault.shard), ` ${fault.shard}`];
  return h("tr", {},
    h("td", {}, clock(fault.at)),
    h("td", { class: "shard-name" }, ...shard),
    h("td", {}, h("span", { class: "tag bad" }, fault.status)),
    h("td", {}, h("code", {}, fault.route)),
    h("td", { class: "what" }, fault.detail, h("span", { class: "note" }, ` ${fault.code}`)),
    h("td", {}, h("code", {}, fault.request_id)));
}

customElements.define("fault-list", FaultList);
