// The page at `/`: gives every part of it each new status. The parts know nothing of each other; what one of them
// finds, it tells with an event that bubbles up to here.

import "./fault-list.js";
import "./feed-state.js";
import "./key-form.js";
import "./look-up.js";
import "./order-states.js";
import "./playground-panel.js";
import "./shard-table.js";
import "./slot-map.js";
import "./stock-check.js";
import "./store-facts.js";
import "./time-plots.js";
import "./verdict-line.js";
import { Feed } from "./feed.js";

const PARTS = ["verdict-line", "playground-panel", "shard-table", "time-plots", "slot-map", "look-up", "order-states",
  "stock-check", "fault-list", "store-facts"];

const feed = new Feed();
const parts = PARTS.map((name) => document.querySelector(name));

document.querySelector("feed-state").feed = feed;
feed.addEventListener("status", () => {
  for (const part of parts) {
    part.update(feed.status, feed.history);
  }
});
feed.addEventListener("state", () => document.querySelector("verdict-line").reach(feed));
document.addEventListener("slot-found", ({ detail }) => document.querySelector("slot-map").mark(detail.slot));
document.addEventListener("order-chosen", ({ detail }) => document.querySelector("look-up").showOrder(detail.id));

feed.start();
