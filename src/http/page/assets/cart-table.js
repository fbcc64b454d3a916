// A cart as a table, to read.

import { h } from "./dom.js";
import { count, counted, money } from "./format.js";

/**
 * The lines of a cart.
 * @param {{version: number, items: Array<Object>, itemTotal: number, total: number}} cart
 */
export function cartTable(cart) {
  if (cart.items.length === 0) {
    return h("p", { class: "note" }, cart.version === 0 ? "No cart." : `An empty cart, version ${cart.version}.`);
  }
  const rows = cart.items.map((line) => h("tr", {},
    h("td", { class: "name" }, line.itemId),
    h("td", { class: "number" }, count(line.itemCount)),
    h("td", { class: "number" }, money(line.offeredPrice)),
    h("td", {}, line.saleActive ? h("span", { class: "tag good" }, "sale") : "")));
  return h("table", { class: "cart-lines" },
    h("caption", {}, `Cart, version ${cart.version}: ${counted(cart.itemTotal, "item")}, ${money(cart.total)}`),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Item"), h("th", { scope: "col", class: "number" }, "Count"),
      h("th", { scope: "col", class: "number" }, "Price"), h("td"))),
    h("tbody", {}, ...rows));
}
