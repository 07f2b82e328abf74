"use strict";
// Every text goes in as text, never as markup.
const GOOD = new Set(["activated", "ready-for-users", "ready-for-links", "ready-for-service", "current"]);
const BAD = new Set(["impaired", "suspended", "rejected", "refused", "reverted", "drifted"]);
const SHOWN_EVENTS = 200;
const PAUSE_MS = 300;

function cell(row, value, coloured) {
  const td = row.insertCell();
  td.textContent = value ?? "";
  if (coloured) td.className = GOOD.has(value) ? "good" : BAD.has(value) ? "bad" : "busy";
  return td;
}

function fill(id, items, write) {
  const body = document.createElement("tbody");
  body.id = id;
  for (const item of items) write(body.insertRow(), item);
  document.getElementById(id).replaceWith(body);
}

function device(row, d) {
  const name = cell(row, "");
  const link = document.createElement("a");
  link.href = "api/v1/devices/" + encodeURIComponent(d.code) + "/config";
  link.textContent = d.code;
  name.append(link);
  cell(row, d.device_type);
  cell(row, d.status, true);
  cell(row, d.health, true);
  cell(row, d.desired);
  cell(row, d.config.generation);
  cell(row, d.config.applied_generation);
  cell(row, d.config.state, true);
  const held = d.config.held && "held for approval: removes " + d.config.held.removed_peers + " peers, "
    + d.config.held.removed_link_interfaces + " link interfaces";
  cell(row, d.config.problem ? d.config.problem.code + ": " + d.config.problem.cause : held || "")
    .className = "bad";
}

function link(row, l) {
  cell(row, l.code);
  cell(row, (l.a.device ?? "?") + " " + l.a.interface);
  cell(row, (l.z.device ?? "?") + " " + l.z.interface);
  cell(row, l.status, true);
  cell(row, l.health, true);
  cell(row, l.desired);
  cell(row, l.metric === null ? "" : l.metric + (l.passive ? " passive" : ""));
}

async function get(path) {
  const response = await fetch(path);
  const body = await response.json();
  if (!response.ok) throw new Error(body.cause + ". " + body.remedy);
  return body;
}

async function refresh() {
  const status = document.getElementById("network");
  try {
    const [network, topology] = await Promise.all([get("api/v1/network"), get("api/v1/topology")]);
    status.textContent = "Slot " + network.slot + ", finalized " + network.finalized_slot + ", network " + network.status
      + ": " + network.devices_activated + " of " + network.devices + " devices and "
      + network.links_activated + " of " + network.links + " links activated"
      + (network.faults.length ? ", " + network.faults.length + " records can't be used" : "")
      + (network.unreadable ? ". " + network.unreadable.cause : ".");
    fill("devices", topology.devices, device);
    fill("links", topology.links, link);
  } catch (error) {
    status.textContent = String(error.message ?? error);
  }
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => { waiting = false; refresh(); }, PAUSE_MS);
}

function show(message) {
  soon();
  const { id, slot, kind, ...rest } = JSON.parse(message.data);
  if (id === undefined) return;
  const item = document.createElement("li");
  item.textContent = "slot " + slot + " " + kind + " " + Object.values(rest).filter((v) => v !== null).join(" ");
  const list = document.getElementById("events");
  list.prepend(item);
  while (list.children.length > SHOWN_EVENTS) list.lastElementChild.remove();
}

const KINDS = ["lost", "config-changed", "config-held", "config-problem", "config-recovered", "device-status",
  "device-health", "link-status", "link-health", "apply-report", "ledger-unreadable", "ledger-readable"];
const source = new EventSource("api/v1/events");
for (const kind of KINDS) source.addEventListener(kind, show);
source.addEventListener("open", refresh);
source.addEventListener("error", soon);
refresh();
