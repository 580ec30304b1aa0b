/* The table of results: the box in its head ticks all rows, and targets can be made when one is ticked. */
(() => {
  "use strict";
  const table = document.querySelector(".fink-results");
  const form = table?.closest("form");
  if (!form) return;
  // TOM Toolkit's button is above the table, and needs a cache that the next search empties.
  const toms = form.querySelector("input[type=submit]");
  const make = table.querySelector("input[type=submit]") ?? toms;
  if (make !== toms) {
    toms.remove();
    form.action = make.formAction;
  }
  const all = table.querySelector("#selectAll");
  const boxes = [...table.querySelectorAll("tbody input[type=checkbox]")];
  const ticked = () => boxes.filter((box) => box.checked);
  const count = () => {
    const number = ticked().length;
    make.disabled = number === 0;
    make.value = number === 0 ? "Create Targets" : `Create ${number} Target${number === 1 ? "" : "s"}`;
    all.checked = boxes.length > 0 && number === boxes.length;
    all.indeterminate = number > 0 && number < boxes.length;
  };
  all.addEventListener("change", () => {
    boxes.forEach((box) => { box.checked = all.checked; });
    count();
  });
  boxes.forEach((box) => box.addEventListener("change", count));
  // One field for all rows: Django takes no form of more than a thousand.
  form.addEventListener("formdata", (event) => {
    if (boxes.length) event.formData.set(boxes[0].name, ticked().map((box) => box.value).join(","));
  });
  window.addEventListener("pageshow", count); // a browser that goes back keeps the ticks
  count();
})();
