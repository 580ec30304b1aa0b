/* The table of results: the box in its head ticks all rows, and targets can be made when one is ticked. */
(() => {
  "use strict";
  const table = document.querySelector(".fink-results");
  const make = table?.closest("form")?.querySelector("input[type=submit]");
  if (!make) return;
  const all = table.querySelector("#selectAll");
  const boxes = [...table.querySelectorAll("tbody input[type=checkbox]")];
  const count = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    make.disabled = ticked === 0;
    make.value = ticked === 0 ? "Create Targets" : `Create ${ticked} Target${ticked === 1 ? "" : "s"}`;
    all.checked = boxes.length > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  all.addEventListener("change", () => {
    boxes.forEach((box) => { box.checked = all.checked; });
    count();
  });
  boxes.forEach((box) => box.addEventListener("change", count));
  window.addEventListener("pageshow", count); // a browser that goes back keeps the ticks
  count();
})();
