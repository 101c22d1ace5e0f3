// Puts a chat button and the chat itself, in a frame of its own, into the page that loads this script.
(() => {
  "use strict";
  const script = document.currentScript;
  if (!script || window.tidingsWidget) return;
  const address = new URL(script.src).href.replace(/\/embed\.js.*$/, "");
  const origin = new URL(address).origin;
  const color = script.dataset.color || "#1f5fbf";
  const side = script.dataset.side === "left" ? "left" : "right";

  // Styles are set one by one: a page's Content-Security-Policy may forbid style elements and attributes.
  const style = (element, rules) => { for (const [name, value] of Object.entries(rules)) element.style.setProperty(name, value); };
  const draw = (shape, filled) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", shape);
    style(path, {fill: filled ? "#fff" : "none", stroke: "#fff", "stroke-width": "2", "stroke-linecap": "round", "stroke-linejoin": "round"});
    style(svg, {width: "26px", height: "26px", display: "block", margin: "auto"});
    svg.append(path);
    return svg;
  };

  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", "Open the chat");
  button.setAttribute("aria-expanded", "false");
  style(button, {
    position: "fixed", bottom: "20px", [side]: "20px", width: "58px", height: "58px", padding: "0", border: "0",
    "border-radius": "50%", background: color, cursor: "pointer", "z-index": "2147483000",
    "box-shadow": "0 6px 20px rgba(0, 0, 0, .28)",
  });
  const closed = draw("M4 5h16v11H9l-5 4z", false), opened = draw("M6 9l6 6 6-6", false);
  button.append(closed);

  const badge = document.createElement("span");
  style(badge, {
    position: "absolute", top: "-4px", right: "-4px", "min-width": "22px", height: "22px", padding: "0 6px", display: "none",
    "border-radius": "11px", background: "#c62828", color: "#fff", font: "600 13px/22px system-ui, sans-serif",
    "box-sizing": "border-box", "text-align": "center",
  });
  button.append(badge);

  const frame = document.createElement("iframe");
  frame.title = "Chat";
  frame.src = address;
  style(frame, {
    position: "fixed", border: "0", display: "none", "z-index": "2147483001", "color-scheme": "normal", background: "transparent",
  });

  const phone = window.matchMedia("(max-width: 520px), (max-height: 460px)");
  const fit = () => style(frame, phone.matches
    ? {inset: "0", width: "100%", height: "100%", "border-radius": "0", "box-shadow": "none"}
    : {
        inset: "auto", bottom: "92px", [side]: "20px", width: "390px", height: "min(640px, calc(100vh - 116px))",
        "border-radius": "18px", "box-shadow": "0 12px 40px rgba(0, 0, 0, .3)",
      });
  phone.addEventListener("change", fit);
  fit();

  const toggle = open => {
    style(frame, {display: open ? "block" : "none"});
    button.replaceChild(open ? opened : closed, button.firstChild);
    button.setAttribute("aria-expanded", String(open));
    button.setAttribute("aria-label", open ? "Close the chat" : "Open the chat");
    if (open) frame.contentWindow.postMessage({tidings: "opened"}, origin); else button.focus();
  };
  const isOpen = () => frame.style.display !== "none";
  button.addEventListener("click", () => toggle(!isOpen()));
  window.addEventListener("message", event => {
    if (event.source !== frame.contentWindow || event.origin !== origin || !event.data) return;
    if (event.data.tidings === "close" && isOpen()) toggle(false);
    if (event.data.tidings === "unread") {
      const count = isOpen() ? 0 : event.data.count;
      badge.textContent = count > 9 ? "9+" : String(count);
      style(badge, {display: count ? "block" : "none"});
      if (!isOpen()) button.setAttribute("aria-label", count ? `Open the chat, ${count} new` : "Open the chat");
    }
  });
  const put = () => document.body.append(button, frame);
  if (document.body) put(); else document.addEventListener("DOMContentLoaded", put);
  window.tidingsWidget = {open: () => toggle(true), close: () => toggle(false)};
})();
