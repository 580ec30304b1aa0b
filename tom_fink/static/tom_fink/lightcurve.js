// Draws each light curve that a page or an HTMX fragment brings:
//   <div data-fink-lightcurve="address of the figures" data-fink-plotly="address of Plotly">
// Buttons with data-fink-figure="magnitude" or "flux" beside it choose the figure.
"use strict";

(function () {
  if (window.finkLightCurve) {
    return;
  }
  window.finkLightCurve = true;

  const CONFIG = { responsive: true, displaylogo: false };
  let plotlyLoading = null;

  function say(element, text) {
    const message = document.createElement("div");
    message.className = "alert alert-warning";
    message.setAttribute("role", "alert");
    message.textContent = text;
    element.replaceChildren(message);
  }

  function loadPlotly(address) {
    if (window.Plotly) {
      return Promise.resolve();
    }
    if (!plotlyLoading) {
      plotlyLoading = new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = address;
        script.onload = resolve;
        script.onerror = () => {
          plotlyLoading = null; // so that the next light curve tries again
          script.remove();
          reject(new Error("the plotting library could not be loaded"));
        };
        document.head.append(script);
      });
    }
    return plotlyLoading;
  }

  async function fetchFigures(address) {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    if (!response.ok) {
      throw new Error(`the server answered ${response.status}`);
    }
    if (!(response.headers.get("Content-Type") || "").startsWith("application/json")) {
      throw new Error("the server answered with a page, you may have been logged out");
    }
    return response.json();
  }

  function show(element, figure) {
    return window.Plotly.react(element, figure.data, figure.layout, CONFIG);
  }

  async function draw(element) {
    const buttons = element.parentElement.querySelectorAll("[data-fink-figure]");
    try {
      const [figures] = await Promise.all([
        fetchFigures(element.dataset.finkLightcurve),
        loadPlotly(element.dataset.finkPlotly),
      ]);
      if (!element.isConnected) {
        return;
      }
      element.replaceChildren();
      await show(element, figures.magnitude);
      buttons.forEach((button) => {
        button.addEventListener("click", () => {
          buttons.forEach((other) => {
            other.classList.toggle("active", other === button);
            other.setAttribute("aria-pressed", String(other === button));
          });
          show(element, figures[button.dataset.finkFigure]);
        });
      });
    } catch (error) {
      buttons.forEach((button) => {
        button.disabled = true;
      });
      say(element, `The light curve cannot be shown: ${error.message}. Reload the page to try again.`);
    }
  }

  function drawAllIn(root) {
    root.querySelectorAll("[data-fink-lightcurve]:not([data-fink-drawn])").forEach((element) => {
      element.dataset.finkDrawn = "";
      draw(element);
    });
  }

  document.addEventListener("htmx:afterSettle", (event) => drawAllIn(event.target));
  for (const failure of ["htmx:responseError", "htmx:sendError"]) {
    document.addEventListener(failure, (event) => {
      if (event.target.matches("[data-fink-tab]")) {
        const status = event.detail.xhr && event.detail.xhr.status;
        const why = status ? `the server answered ${status}` : "the server could not be reached";
        say(event.target, `Fink's alerts cannot be shown: ${why}. Reload the page to try again.`);
      }
    });
  }
  drawAllIn(document);
})();
