// Joins the page with the libraries in it, and does no more: DataTables sorts, Vega draws.
(() => {
  const draw = (root) => root.querySelectorAll(".chart:not(.drawn)").forEach((place) => {
    place.classList.add("drawn");
    const spec = JSON.parse(document.getElementById(place.dataset.spec).textContent);
    vegaEmbed(place, spec, { ast: true, actions: false, renderer: "svg" }).then(({ view }) =>
      view.addEventListener("click", (event, item) => {
        const graph = item && item.datum && item.datum.trainer &&
          document.getElementById(`${place.dataset.spec.replace("-chart", "")}-g${item.datum.trainer}`);
        if (graph) location.hash = graph.id;
      }));
  });
  const words = { search: "Filter:", lengthMenu: "_MENU_ a page", emptyTable: "none" };
  const table = (place, more) => new DataTable(place, { language: words, autoWidth: false, ...more });
  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const open = async () => {
    const [, pipeline, graph] = /^#(p\d+)(-g\d+)?$/.exec(location.hash) || [];
    if (!pipeline) return;
    const detail = document.getElementById("detail");
    if (!document.getElementById(pipeline)) {
      const packed = document.getElementById(`${pipeline}-packed`);
      if (!packed) return;
      detail.innerHTML = await unpack(packed.textContent);
      draw(detail);
      const list = detail.querySelector(".trainings");
      if (list) table(list, { order: [], pageLength: 10 });
    }
    const drawn = graph && document.getElementById(pipeline + graph);
    if (drawn) drawn.open = true;
    const target = drawn ? drawn.querySelector("summary") : document.getElementById(`${pipeline}-title`);
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", open);
  requestAnimationFrame(() => setTimeout(() => {
    table("#all", { order: [], pageLength: 25, deferRender: true });
    draw(document.querySelector("main"));
    open();
    document.documentElement.dataset.ready = "yes";
  }));
})();
