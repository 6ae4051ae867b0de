// A page that opens a capture of WireGuard: the file goes to a worker, never to a server, and what it holds comes back in pieces that the page can draw.
const of = (id) => document.getElementById(id);
/** Lines that are drawn: the first ones. */
const DRAWN = 1000;
let worker;

of("open").onclick = () => {
  const [capture] = of("capture").files;
  if (!capture) return;
  worker?.terminate();
  worker = new Worker("worker.js");
  for (const id of ["sessions", "packets"]) of(id).replaceChildren();
  of("inner").hidden = true;
  of("progress").value = 0;
  of("state").value = `reading ${capture.name}`;
  let drawn = 0;
  worker.onmessage = ({ data }) => {
    of("progress").value = data.done;
    if (data.lines) {
      const lines = data.lines.slice(0, DRAWN - drawn);
      drawn += lines.length;
      if (lines.length > 0) of("packets").append(lines.join("\n"), "\n");
    }
    if (data.sessions) {
      of("sessions").append(...data.sessions.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
      of("inner").href = URL.createObjectURL(data.inner);
      of("inner").hidden = false;
      of("state").value = `${data.packets} packets, ${data.opened} of them opened`;
    }
    if (data.failed) of("state").value = data.failed;
  };
  worker.onerror = (e) => (of("state").value = e.message);
  worker.postMessage({ capture, keys: of("keys").files[0] });
};
