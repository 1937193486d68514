// The legend of the curves: groups of lines go and come at once where they are in the page already.

/** Begin to watch the legends within an element, those included that come later. */
export function watchLegends(root) {
  root.addEventListener("click", toggle);
  // Another rendering does not know what was hidden here.
  root.addEventListener("caviar:swapped", () => root.querySelectorAll(".toggle[data-group]").forEach(apply));
}

function toggle(event) {
  const link = event.target.closest?.(".toggle[data-group]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const section = link.closest("section");
  const chart = section.querySelector(".chart");
  const group = link.dataset.group;
  const isHidden = link.classList.contains("off");
  // What the service left out is not here: the link fetches it.
  if (!chart || (isHidden && !chart.querySelector(`.line.${group}`))) return;
  event.preventDefault();
  link.classList.toggle("off", !isHidden);
  link.querySelector("[data-verb]").textContent = isHidden ? "hide" : "show";
  apply(link);
  remember(section);
}

function apply(link) {
  const chart = link.closest("section").querySelector(".chart");
  chart?.classList.toggle(`no-${link.dataset.group}`, link.classList.contains("off"));
}

/** Write what is hidden into the addresses of the page, of its next rendering and of its other choices. */
function remember(section) {
  const hidden = [...section.querySelectorAll(".toggle.off")].map((link) => link.dataset.group);
  const tools = section.querySelector(".curve-tools");
  if (!tools) return;
  const changed = (address, hide = hidden) => {
    const url = new URL(address, location.href);
    if (hide.length) url.searchParams.set("hide", hide.join(","));
    else url.searchParams.delete("hide");
    return `${url.pathname}${url.search.replaceAll("%2C", ",")}${url.hash}`;
  };
  history.replaceState(history.state, "", changed(location.href));
  section.dataset.fragment = changed(section.dataset.fragment);
  for (const link of tools.querySelectorAll(".segments a, .sheet a")) link.setAttribute("href", changed(link.href));
  for (const link of section.querySelectorAll(".toggle[data-group]")) {
    const group = link.dataset.group;
    const others = hidden.includes(group) ? hidden.filter((one) => one !== group) : [...hidden, group];
    link.setAttribute("href", changed(link.href, others));
  }
  const form = tools.querySelector("form");
  form.querySelector("[name=hide]")?.remove();
  if (!hidden.length) return;
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name: "hide", value: hidden.join(",") });
  form.append(field);
}
