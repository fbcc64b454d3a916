// Orders by state, the oldest that is not decided, and the newest ones.

import { currentKey } from "./access.js";
import { read } from "./api.js";
import { asCommand, command, curl } from "./as-command.js";
import { h, panelHead, setText } from "./dom.js";
import { count, elapsed, money } from "./format.js";
import { orderTag, shortId } from "./order-words.js";

const STATES = ["created", "pending", "refused", "cancelled"];
const NEWEST = 6;
/** The time between two readings of the list, in milliseconds: each one asks every shard. */
const INTERVAL_MS = 10_000;

class OrderStates extends HTMLElement {
  #figures = new Map(STATES.map((state) => [state, h("dd")]));
  #oldest = h("p", { class: "oldest" });
  #list = h("tbody");
  #table = h("div", { class: "table-box", role: "region", "aria-label": "Newest orders", tabindex: "0" },
    h("table", { class: "orders" }, h("thead", {}, h("tr", {}, ...["Newest orders", "Customer", "State", "Total"].map((title, index) =>
      h("th", { scope: "col", class: index === 3 ? "number" : null }, title)))), this.#list));
  #show = h("button", { type: "button", onclick: () => this.#readList() }, "Show the newest orders");
  #commands = asCommand();
  #readAt = -Infinity;

  connectedCallback() {
    const figures = STATES.map((state) => h("div", { "data-state": state }, h("dt", {}, state), this.#figures.get(state)));
    this.#table.hidden = true;
    this.append(
      panelHead("Orders", "by state, of the shards that answer", this.#commands),
      h("dl", { class: "figures" }, ...figures), this.#oldest, this.#show, this.#table);
  }

  update(status) {
    for (const [state, figure] of this.#figures) {
      setText(figure, count(status.orders[state]));
    }
    this.#showOldest(status);
    this.#commands.lines = [
      ["curl", curl(`api/orders?limit=${NEWEST}`, { isGuarded: true })],
      ["command", command("order", "list", "--limit", String(NEWEST))],
    ];
    // Only the reader may ask for a key here: the list is extra.
    this.#show.hidden = currentKey() !== null;
    if (currentKey() !== null && performance.now() - this.#readAt > INTERVAL_MS) {
      this.#readList();
    }
  }

  #showOldest(status) {
    const oldest = status.orders.oldest_undecided;
    if (!oldest) {
      setText(this.#oldest, "No order waits for its decision.");
      return;
    }
    this.#oldest.replaceChildren("Oldest undecided: ", chooseOrder(oldest.order_id), `, since ${elapsed(oldest.since, status.at)}`);
  }

  async #readList() {
    this.#readAt = performance.now();
    try {
      const { items } = await read(`api/orders?limit=${NEWEST}`);
      this.#list.replaceChildren(...items.map((order) => h("tr", {},
        h("td", {}, chooseOrder(order.order_id)),
        h("td", { class: "name" }, order.customer_id ?? "–"),
        h("td", {}, orderTag(order)),
        h("td", { class: "number" }, money(order.total)))));
      this.#table.hidden = items.length === 0;
    } catch {
      // What was read before stays; the next reading is due in a few seconds.
    }
  }
}

/** A button with an order's id, shortened, that asks the page to show the order. */
function chooseOrder(id) {
  const button = h("button", { type: "button", class: "link mono", title: id }, shortId(id));
  button.addEventListener("click", () => {
    button.dispatchEvent(new CustomEvent("order-chosen", { bubbles: true, detail: { id } }));
  });
  return button;
}

customElements.define("order-states", OrderStates);
