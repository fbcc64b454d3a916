// The shop front at `/shop`: brings its parts together. They meet in `shopper.js`, which knows who buys, and in the
// events of `document`.

import "./key-form.js";
import "./last-action.js";
import "./shop-cart.js";
import "./shop-checkout.js";
import "./shop-orders.js";
import "./shop-shelf.js";
import "./shopper-bar.js";
import { useDevelopmentKey } from "./access.js";
import { read } from "./api.js";

async function start() {
  try {
    const status = await read("status");
    if (status.development_key) {
      useDevelopmentKey();
    }
  } catch {
    // Without an answer the parts try for themselves, and say what is wrong.
  }
  for (const name of ["shop-shelf", "shop-cart", "shop-orders"]) {
    document.querySelector(name).start();
  }
}

start();
