// The products that the shop front has seen. Carts and orders name products by id only; titles come from here.

import { path, read } from "./api.js";

/** The number of products of one page, and the number that is read to learn which topics there are. */
const PAGE = 60;
const TOPICS_FROM = 1_000;

/** @type {Map<string, Promise<Object|null>>} products by id; null for one that is not in the catalog */
const known = new Map();

/** The topics of the catalog's first thousand products, in order. */
export async function topics() {
  const { items } = await read(`catalog/books?limit=${TOPICS_FROM}`);
  return [...new Set(items.map(({ topic }) => topic).filter(Boolean))].sort();
}

/**
 * A page of the catalog.
 * @param {string|null} topic null for every topic
 * @param {string|null} cursor where an earlier page ended
 * @returns {Promise<{items: Array<Object>, next_cursor: string|null}>}
 */
export async function browse(topic, cursor = null) {
  const query = new URLSearchParams({ limit: PAGE });
  if (topic !== null) {
    query.set("topic", topic);
  }
  if (cursor !== null) {
    query.set("cursor", cursor);
  }
  const page = await read(`catalog/books?${query}`);
  for (const product of page.items) {
    known.set(product.id, Promise.resolve(product));
  }
  return page;
}

/** The title of a product; its id when it has none. */
export async function titleOf(id) {
  if (!known.has(id)) {
    known.set(id, read(path("info", id)).catch(() => null));
  }
  return (await known.get(id))?.title ?? id;
}
