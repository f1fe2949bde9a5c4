#include "serve/page.h"

namespace capstan::serve {
namespace {

const char* const kPage = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Capstan: captions</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --line: #8a8f98; --soft: #f2f4f7; --accent: #0b5cad; --wrong: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --soft: #23262b; --accent: #7db7f5; --wrong: #ff8a80; } }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; }
.drop { display: block; border: 2px dashed var(--line); border-radius: .75rem; padding: 2.5rem 1rem;
  text-align: center; cursor: pointer; }
.drop.over, .drop:hover { border-color: var(--accent); background: var(--soft); }
.drop:focus-within { outline: 3px solid var(--accent); outline-offset: 2px; }
.drop b { color: var(--accent); text-decoration: underline; }
.drop input { position: absolute; width: 1px; height: 1px; opacity: 0; }
ul { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: 1rem; }
ul > li { display: grid; grid-template-columns: 12rem 1fr; gap: 1rem; align-items: start; background: var(--soft);
  border-radius: .75rem; padding: 1rem; }
ul > li img { width: 100%; max-height: 12rem; object-fit: contain; border-radius: .375rem; }
.caption { font-size: 1.25rem; margin: 0; overflow-wrap: anywhere; }
.note { margin: .25rem 0 0; opacity: .8; font-size: .875rem; overflow-wrap: anywhere; }
.wrong .caption { color: var(--wrong); font-size: 1rem; }
ol { margin: .5rem 0 0; padding-left: 1.25rem; }
@media (max-width: 36rem) { ul > li { grid-template-columns: 1fr; } }
</style>
</head>
<body>
<main>
<h1>Captions for pictures</h1>
<label class="drop" id="drop"><b>Choose pictures</b>, drop them here or paste one
<input type="file" id="file" accept="image/*" multiple></label>
<noscript><p>This page needs JavaScript. From a shell: curl -F image=@photo.jpg ADDRESS/caption</p></noscript>
<ul id="results" aria-live="polite" aria-label="Captions"></ul>
</main>
<script>
"use strict";
const drop = document.getElementById("drop");
const file = document.getElementById("file");
const results = document.getElementById("results");
const kept = 24;  // results on the page; older ones go

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function card(picture) {
  const item = element("li");
  const image = element("img");
  image.src = URL.createObjectURL(picture);
  image.alt = "";
  const text = element("div");
  text.append(element("p", "caption", "Looking at it ..."), element("p", "note", picture.name));
  item.append(image, text);
  results.prepend(item);
  while (results.children.length > kept) {
    const oldest = results.lastElementChild;
    URL.revokeObjectURL(oldest.querySelector("img").src);
    oldest.remove();
  }
  return item;
}

function show(item, name, answer, seconds) {
  item.querySelector(".caption").textContent = answer.caption || "(no words)";
  item.querySelector("img").alt = answer.caption;
  const parts = [name, answer.milliseconds.toFixed(0) + " ms in the server",
                 (1000 * seconds).toFixed(0) + " ms in all"];
  item.querySelector(".note").textContent = parts.join(" \u00b7 ");
  if (answer.captions.length < 2) return;
  const list = element("ol");
  for (const one of answer.captions) {
    const score = typeof one.score === "number" ? " (" + one.score.toFixed(2) + ")" : "";
    list.append(element("li", "", one.text + score));
  }
  item.lastElementChild.append(list);
}

function fail(item, text) {
  item.classList.add("wrong");
  item.querySelector(".caption").textContent = text;
  item.querySelector("img").alt = "Picture without a caption";
}

async function send(picture) {
  const item = card(picture);
  const start = performance.now();
  try {
    const form = new FormData();
    form.append("image", picture);
    const response = await fetch("caption", {method: "POST", body: form});
    const answer = await response.json();
    if (response.ok) show(item, picture.name, answer, (performance.now() - start) / 1000);
    else fail(item, answer.error);
  } catch (error) {
    fail(item, "The server does not answer: " + error.message);
  }
}

// One after the other, in the order they were given.
let turn = Promise.resolve();
function take(pictures) {
  for (const picture of pictures) turn = turn.then(() => send(picture));
}

file.addEventListener("change", () => { take([...file.files]); file.value = ""; });
document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
</script>
</body>
</html>
)html";

}  // namespace

const std::string& page() {
  static const std::string text = kPage;
  return text;
}

}  // namespace capstan::serve
