// How much each parameter matters is computed after the page is there, and by the other method on request.

const bars = document.getElementById("bars");
const links = [...document.querySelectorAll("[data-method]")];

async function load(method) {
  bars.setAttribute("aria-busy", "true");
  const response = await fetch(`${bars.dataset.source}?method=${method}`, { headers: { Accept: "text/html" } });
  bars.removeAttribute("aria-busy");
  if (!response.ok) return;
  const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
  bars.replaceChildren(...parsed.body.children);
  for (const link of links) {
    if (link.dataset.method === method) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

for (const link of links) {
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.replaceState(null, "", link.href);
    load(link.dataset.method);
  });
}
if ("empty" in bars.dataset) {
  bars.firstElementChild.textContent = "Computing how much each parameter matters …";
  load("ped_anova");
}
