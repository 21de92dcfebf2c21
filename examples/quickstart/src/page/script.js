"use strict";
// Sections of the page come again as they change; forms are sent without leaving it.

const toast = document.getElementById("toast");
let hideToast;
function say(text, tone) {
  toast.textContent = text;
  toast.dataset.tone = tone || "";
  toast.classList.add("shown");
  clearTimeout(hideToast);
  hideToast = setTimeout(() => toast.classList.remove("shown"), 6000);
}

const shown = new Map();
function show(id, markup) {
  const section = document.getElementById(id);
  if (!section || shown.get(id) === markup) return;
  shown.set(id, markup);
  const focus = document.activeElement;
  const held = section.contains(focus) && (focus.id || focus.value || focus.dataset.price);
  section.innerHTML = markup;
  if (held) {
    const again = [...section.querySelectorAll("button")].find(
      (button) => (button.id || button.value || button.dataset.price) === held);
    if (again) again.focus({ preventScroll: true });
  }
}

const live = new EventSource("/demo/live");
live.addEventListener("sections", (event) => {
  document.body.classList.remove("away");
  for (const [id, markup] of Object.entries(JSON.parse(event.data))) show(id, markup);
});
live.addEventListener("trouble", () => document.body.classList.add("away"));
live.addEventListener("error", () => document.body.classList.add("away"));

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.hasAttribute("data-native")) return;
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  document.body.classList.add("working");
  try {
    const response = await fetch(form.getAttribute("action"), {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams(new FormData(form, event.submitter)),
    });
    const answer = response.status === 204 ? {} : await response.json();
    if (!response.ok) say(answer.detail ? answer.title + ": " + answer.detail : answer.title, "bad");
    else if (answer.url) { window.location.assign(answer.url); return; }
  } catch {
    say("The server cannot be reached.", "bad");
  } finally {
    form.removeAttribute("aria-busy");
    document.body.classList.remove("working");
  }
});

const back = new URLSearchParams(window.location.search).get("checkout");
if (back === "success") say("Thank you! What you see is what the webhooks say.", "good");
if (back === "canceled") say("Nothing was bought.", "");
if (back) window.history.replaceState(null, "", "/");
