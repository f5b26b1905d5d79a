// The thin layer between this pack's faces and ComfyUI's page: what may change with the page is here.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const KEY = "attention_prompting"; // of a node's `ui` entry, and of what is kept for a reload
const MOST_KEPT = 200; // entries, over all workflows of this browser tab
const MARGIN = 6; // around a face, in pixels
const UNSAVED = "00000000-0000-0000-0000-000000000000"; // the id of a workflow that has none yet
const OWN_KEYS = ["Enter", " ", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];

export const GONE =
  "ComfyUI has cleared the files of this result, or cannot be reached. Run once to see and tune it again.";

/**
 * @typedef {any} FaceNode a node of the page: its types leave out hooks that the page calls
 * @typedef {{filename: string, subfolder: string, type: string}} TempFile
 * @typedef {{heatmap?: TempFile, masks?: TempFile, pictures?: TempFile[], answers?: string[], count?: number}} Entry
 *   what a node left for its face; count: of the whole batch, where not all of it was left
 * @typedef {(entry: Entry) => void} Listener
 */

/** @type {WeakMap<object, {newest: Entry | null, ran: boolean, listeners: Listener[]}>} ran: `newest` is of a run */
const watched = new WeakMap();

/** @returns {any} */
const root = () => app.rootGraph ?? app.graph; // older pages have only the second

/**
 * The node of an id such as "7", or "5:3" for node 3 inside the subgraph of node 5.
 * @param {string | number} executionId
 * @returns {FaceNode}
 */
export function findNode(executionId) {
  let graph = root();
  let node;
  for (const id of String(executionId).split(":")) {
    node = nodeIn(graph, id);
    graph = node?.subgraph;
  }
  return node;
}

/**
 * Put an element on a node, in both renderers. It is for looking at only: neither saved nor sent.
 * @param {FaceNode} node
 * @param {string} name unique on the node
 * @param {HTMLElement} element
 * @param {{minHeight?: number | (() => number)}} [options]
 */
export function addFace(node, name, element, { minHeight = 200 } = {}) {
  const height = () => (typeof minHeight === "function" ? minHeight() : minHeight);
  element.style.minHeight = `${height()}px`;
  element.addEventListener("keydown", keepFromCanvas);
  element.addEventListener("wheel", passWheelOn, { passive: false });
  const widget = node.addDOMWidget(name, name, element, {
    serialize: false,
    hideOnZoom: false,
    hideInPanel: true, // an element can be in one place only
    margin: MARGIN,
    getMinHeight: () => height() + 2 * MARGIN,
  });
  widget.serialize = false;
  return widget;
}

/**
 * Fit the node to a face that is new, or whose least height has changed. What a user has given the node beyond it stays.
 * @param {FaceNode} node
 * @param {HTMLElement} element
 * @param {number} minHeight
 * @param {number} [before] the least height that it had
 */
export function refit(node, element, minHeight, before = minHeight) {
  element.style.minHeight = `${minHeight}px`;
  const least = node.computeSize();
  node.setSize([Math.max(node.size[0], least[0]), Math.max(node.size[1] + minHeight - before, least[1])]);
  node.graph?.setDirtyCanvas(true, true);
}

/**
 * Keys that a face's own controls take are not the canvas's; all others go on.
 * @param {KeyboardEvent} event
 */
function keepFromCanvas(event) {
  if (event.target !== event.currentTarget && OWN_KEYS.includes(event.key)) event.stopPropagation();
}

/**
 * Turning the wheel over a face moves the canvas as it does elsewhere, unless something of the face can be scrolled.
 * @param {WheelEvent} event
 */
function passWheelOn(event) {
  const { LiteGraph } = /** @type {any} */ (window);
  if (LiteGraph?.vueNodesMode) return; // this renderer's nodes lie inside of what listens to the wheel
  for (let part = event.target; part instanceof Element && part !== event.currentTarget; part = part.parentElement) {
    if (part.scrollHeight > part.clientHeight && getComputedStyle(part).overflowY === "auto") return;
  }
  /** @type {any} */ (app.canvas).processMouseWheel(event);
}

/**
 * Be told what a node leaves for its face: after each run, and again after a reload, a change of tab or an undo.
 * @param {FaceNode} node
 * @param {Listener} listener
 */
export function onEntry(node, listener) {
  const known = watched.get(node);
  if (known) {
    known.listeners.push(listener);
    if (known.newest) listener(known.newest);
    return;
  }
  watched.set(node, { newest: null, ran: false, listeners: [listener] });
  chain(node, "onExecuted", (output) => take(node, output?.[KEY]?.[0], true));
  // Its graph is complete, and named, only when the page is done with loading it.
  chain(node, "onAdded", () => queueMicrotask(() => take(node, shownBefore(node))));
}

/**
 * Do something more when the page calls a hook of this one node.
 * @param {FaceNode} node
 * @param {string} hook
 * @param {(...given: any[]) => void} more
 */
export function chain(node, hook, more) {
  const before = node[hook];
  node[hook] = function (/** @type {any[]} */ ...given) {
    const result = before?.apply(this, given);
    more(...given);
    return result;
  };
}

/**
 * The page put other outputs on all nodes, as it does after a change of tab.
 * @param {Record<string, any> | null} outputs
 */
export function outputsReplaced(outputs) {
  for (const [id, output] of Object.entries(outputs ?? {})) {
    const entry = output?.[KEY]?.[0];
    if (entry) take(nodeOf(id), entry);
  }
}

/**
 * What is known already is not told again. The first run on this node is: its files may have been gone before, and a
 * run gives the same content the same names.
 * @param {FaceNode} node
 * @param {Entry | null | undefined} entry
 * @param {boolean} [ran] it comes of a run
 */
function take(node, entry, ran = false) {
  const face = watched.get(node);
  if (!face || !entry) return;
  const known = JSON.stringify(entry) === JSON.stringify(face.newest);
  if (known && (face.ran || !ran)) return;
  Object.assign(face, { newest: entry, ran });
  keep(node, entry);
  for (const listener of face.listeners) listener(entry);
}

/**
 * The node of an output's key: an execution id, or "subgraph's id:node's id".
 * @param {string} id
 */
function nodeOf(id) {
  const [graphId, nodeId] = id.split(":");
  const subgraph = root()?.subgraphs?.get(graphId);
  return subgraph ? nodeIn(subgraph, nodeId) : findNode(id);
}

/**
 * @param {any} graph
 * @param {string} id
 */
const nodeIn = (graph, id) => graph?.getNodeById(id) ?? graph?.getNodeById(Number(id));

/** @param {FaceNode} node */
function locator(node) {
  return node.graph?.id && node.graph !== root() ? `${node.graph.id}:${node.id}` : String(node.id);
}

/** @param {FaceNode} node */
function keptUnder(node) {
  const workflow = root()?.id;
  return workflow && workflow !== UNSAVED ? `${KEY}/${workflow}/${locator(node)}/${node.type}` : null;
}

/**
 * @param {FaceNode} node
 * @returns {Entry | null}
 */
function shownBefore(node) {
  const output = /** @type {Record<string, any> | undefined} */ (app.nodeOutputs)?.[locator(node)];
  const key = keptUnder(node);
  return output?.[KEY]?.[0] ?? (key && kept(key)?.entry) ?? null;
}

/**
 * @param {string} key
 * @returns {{at: number, entry: Entry} | null} at: when it was kept
 */
const kept = (key) => JSON.parse(sessionStorage.getItem(key) ?? "null");

/**
 * File names outlive a reload of the page in this browser tab; the files do until ComfyUI ends.
 * @param {FaceNode} node
 * @param {Entry} entry
 */
function keep(node, entry) {
  const key = keptUnder(node);
  if (!key) return;
  const others = Object.keys(sessionStorage).filter((name) => name.startsWith(`${KEY}/`) && name !== key);
  if (others.length >= MOST_KEPT) {
    const oldestFirst = others.sort((one, other) => (kept(one)?.at ?? 0) - (kept(other)?.at ?? 0));
    for (const old of oldestFirst.slice(0, 1 - MOST_KEPT)) sessionStorage.removeItem(old);
  }
  try {
    sessionStorage.setItem(key, JSON.stringify({ at: Date.now(), entry }));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // full: the face then waits for the next run
  }
}

/** @param {TempFile} file */
const route = (file) => `/view?${new URLSearchParams({ ...file })}`;

/**
 * The address of a file in ComfyUI's temporary folder.
 * @param {TempFile} file
 */
export function fileUrl(file) {
  return api.apiURL(route(file));
}

/**
 * What is in a temporary file, or null where it is gone (then show GONE).
 * @param {TempFile} file
 * @returns {Promise<ArrayBuffer | null>}
 */
export async function fetchFile(file) {
  try {
    const response = await api.fetchApi(route(file));
    return response.ok ? await response.arrayBuffer() : null;
  } catch (error) {
    if (error instanceof TypeError) return null; // what fetch says of a server that is not there
    throw error;
  }
}
