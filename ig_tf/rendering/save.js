(() => {
  const pictures = Array.from(document.querySelectorAll("[data-picture]"));
  if (!pictures.length) return;
  const SVG = "http://www.w3.org/2000/svg";
  const EDGE = 16;            // paper around a picture
  const SHARP = 2;            // pixels of a PNG for one of the page, where that is not too many
  const MOST_PIXELS = 16e6;
  const said = document.createElement("output");
  said.className = "said";
  said.setAttribute("aria-live", "polite");
  document.body.append(said);

  // Values ----------------------------------------------------------------------------------

  const NUMBER = /^(-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|-?inf|nan)$/i;
  const numeric = words => NUMBER.test(words) ? {number: words} : words;
  // Text that begins like a formula gets an apostrophe, so that no spreadsheet runs it.
  const cell = value => {
    if (value.number !== undefined) return value.number;
    const words = /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(value) ? "'" + value : value;
    return /[",\r\n]/.test(words) ? '"' + words.replace(/"/g, '""') + '"' : words;
  };
  const csv = rows => rows.map(row => row.map(cell).join(",") + "\r\n").join("");
  const words = node => node.textContent.trim();
  // A title is the exact score, first where more is said.
  const exact = node => numeric((node.title || words(node)).split(" ")[0]);
  const shortest = value => {
    if (!isFinite(value)) return isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    for (let digits = 6; digits < 9; ++digits) {
      const short = Number(value.toPrecision(digits));
      if (Math.fround(short) === value) return String(short);
    }
    return String(Number(value.toPrecision(9)));
  };
  const unpacked = text => {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Array.from({length: bytes.length / 4},
      (_, i) => ({number: shortest(view.getFloat32(4 * i, true))}));
  };
  const count = number => ({number: String(number)});
  const ofMap = node => {
    const [height, width, side] = node.dataset.map.split(" ").map(Number);
    const across = Math.ceil(width / side), label = node.dataset.label;
    const named = label === undefined ? [] : [label];
    return [[...named.map(() => "target"), "row", "column", "rows", "columns", "attribution"],
      ...unpacked(node.dataset.values).map((value, i) => {
        const row = Math.floor(i / across) * side, column = i % across * side;
        return [...named, count(row), count(column), count(Math.min(side, height - row)),
          count(Math.min(side, width - column)), value];
      })];
  };
  const ofSignal = node => {
    const length = Number(node.dataset.signal), values = unpacked(node.dataset.values);
    const bins = values.length / 2;
    const start = bin => Math.ceil(bin * length / bins);
    return [["first", "last", "for", "against"], ...Array.from({length: bins}, (_, bin) =>
      [count(start(bin)), count(start(bin + 1) - 1), values[bin], values[bins + bin]])];
  };
  const ofText = node => [["place", "words", "attribution"],
    ...Array.from(node.querySelectorAll("[title]"), (span, i) =>
      [count(i + 1), words(span), exact(span)])];
  const ofTable = table => Array.from(table.rows, row => Array.from(row.cells)
    .filter(one => !one.classList.contains("axis"))
    .map(one => one.tagName === "TD" && one.classList.contains("number")
      ? exact(one) : words(one)));
  const ofLists = lists => [["", "words", "attribution", "times"],
    ...lists.flatMap(list => Array.from(list.querySelectorAll("li"), item =>
      [words(list.querySelector("small")), words(item.querySelector("b")), exact(item),
        item.dataset.times ? count(item.dataset.times) : ""]))];
  const KINDS = [
    ["[data-csv]", nodes => nodes[0].dataset.csv],
    ["[data-map]", nodes => csv(nodes.flatMap((node, i) => ofMap(node).slice(i ? 1 : 0)))],
    ["[data-signal]", nodes => csv(ofSignal(nodes[0]))],
    [".tokens", nodes => csv(ofText(nodes[0]))],
    ["table", nodes => csv(ofTable(nodes[0]))],
    [".strongest > div", nodes => csv(ofLists(nodes))]];
  const values = picture => {
    for (const [selector, read] of KINDS) {
      const nodes = Array.from(picture.querySelectorAll(selector));
      if (nodes.length) return read(nodes);
    }
    return "";
  };

  // Drawing ---------------------------------------------------------------------------------

  const make = (name, marks, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(marks)) node.setAttribute(key, value);
    // What XML cannot hold is left out.
    if (text !== undefined) {
      node.textContent = text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu,
        "");
    }
    return node;
  };
  const round = value => Math.round(100 * value) / 100;
  // Fill and opacity of a colour of the page; nothing for what is clear.
  const fill = colour => {
    const [r, g, b, a = 1] = (colour.match(/[\d.]+/g) || []).map(Number);
    if (!a || b === undefined) return null;
    const hex = "#" + [r, g, b].map(v => Math.round(v).toString(16).padStart(2, "0")).join("");
    return a < 1 ? {fill: hex, "fill-opacity": round(a)} : {fill: hex};
  };

  // The example's head and the picture, laid out where nobody sees it.
  const laid = picture => {
    const paper = document.createElement("div");
    paper.className = "saving";
    const card = picture.closest("article");
    const own = card && !picture.dataset.title;
    const other = picture.closest(".beside");   // other attributions have a verdict of their own
    const parts = other ? [card.querySelector("h3"), ...other.querySelectorAll(":scope > h4, "
      + ":scope > .note")] : own ? [card.querySelector("header"), card.querySelector(".story")] : [];
    if (!own) {
      const title = document.createElement("h3");
      title.textContent = picture.dataset.title || picture.dataset.picture;
      paper.append(title);
    }
    for (const part of [...parts, picture]) if (part) paper.append(part.cloneNode(true));
    paper.querySelectorAll(".save").forEach(node => node.remove());
    paper.querySelectorAll("[id]").forEach(node => node.removeAttribute("id"));
    document.body.append(paper);
    return paper;
  };

  const drawn = (picture, name) => {
    const paper = laid(picture), origin = paper.getBoundingClientRect();
    const root = make("svg", {}), shades = make("defs", {});
    root.append(make("title", {}, name), shades,
      make("rect", {width: "100%", height: "100%", fill: "#ffffff"}));
    const canvas = document.createElement("canvas").getContext("2d");
    let wide = origin.width;
    const place = box => ({x: round(box.left - origin.left + EDGE),
      y: round(box.top - origin.top + EDGE), width: round(box.width), height: round(box.height)});

    const shade = (style, at, radius) => {
      const colours = style.backgroundImage.match(/rgba?\([^)]*\)/g) || [];
      if (!colours.length) return;
      if (style.backgroundImage.startsWith("repeating")) {
        const hatch = make("pattern", {id: `hatch${shades.childNodes.length}`, width: 6, height: 6,
          patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"});
        hatch.append(make("rect", {width: 3, height: 6, ...fill(colours[0])}));
        shades.append(hatch);
        root.append(make("rect", {...at, fill: `url(#${hatch.id})`}));
      } else if (style.backgroundSize.startsWith("1px")) {   // the axis of a bar
        const middle = at.x + (at.width - 1) * parseFloat(style.backgroundPositionX) / 100;
        root.append(make("rect", {...at, x: round(middle), width: 1, ...fill(colours[0])}));
      } else {
        const ramp = make("linearGradient", {id: `ramp${shades.childNodes.length}`});
        colours.forEach((colour, i) => ramp.append(make("stop", {
          offset: i / Math.max(1, colours.length - 1), "stop-color": fill(colour).fill})));
        shades.append(ramp);
        root.append(make("rect", {...at, rx: radius, fill: `url(#${ramp.id})`}));
      }
    };
    const edges = (style, at, radius) => {
      const all = fill(style.borderTopColor), thick = parseFloat(style.borderTopWidth);
      if (all && thick && style.border !== "" && style.borderTopStyle === "solid") {  // all alike
        root.append(make("rect", {x: round(at.x + thick / 2), y: round(at.y + thick / 2),
          width: round(at.width - thick), height: round(at.height - thick), rx: radius,
          fill: "none", stroke: all.fill, "stroke-width": thick}));
        return;
      }
      for (const [side, x1, y1, x2, y2] of [["Top", 0, 0, 1, 0], ["Right", 1, 0, 1, 1],
        ["Bottom", 0, 1, 1, 1], ["Left", 0, 0, 0, 1]]) {
        const width = parseFloat(style[`border${side}Width`]);
        const kind = style[`border${side}Style`], colour = fill(style[`border${side}Color`]);
        if (!width || kind === "none" || kind === "hidden" || !colour) continue;
        const dash = {dotted: `${width} ${width}`, dashed: `${3 * width} ${2 * width}`}[kind];
        // Along the middle of the border, which lies inside the box.
        const over = x1 === x2 ? (x1 ? -width : width) / 2 : 0;
        const down = y1 === y2 ? (y1 ? -width : width) / 2 : 0;
        root.append(make("line", {
          x1: round(at.x + x1 * at.width + over), y1: round(at.y + y1 * at.height + down),
          x2: round(at.x + x2 * at.width + over), y2: round(at.y + y2 * at.height + down),
          stroke: colour.fill, "stroke-opacity": colour["fill-opacity"] || 1,
          "stroke-width": width, ...(dash ? {"stroke-dasharray": dash} : {})}));
      }
    };
    const boxes = (node, style) => {
      for (const box of node.getClientRects()) {
        const at = place(box), radius = Math.min(parseFloat(style.borderTopLeftRadius) || 0,
          at.height / 2);
        const colour = fill(style.backgroundColor);
        wide = Math.max(wide, box.right - origin.left);
        if (colour && at.width && at.height) {
          root.append(make("rect", {...at, rx: radius, ...colour}));
        }
        if (style.backgroundImage !== "none") shade(style, at, radius);
        edges(style, at, radius);
      }
    };
    const write = (text, box, style) => {
      canvas.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      const {fontBoundingBoxAscent: up, fontBoundingBoxDescent: down} = canvas.measureText(text);
      const at = place(box);
      wide = Math.max(wide, box.right - origin.left);
      root.append(make("text", {x: at.x, y: round(at.y + at.height * up / (up + down)),
        "font-size": parseFloat(style.fontSize), "font-weight": style.fontWeight,
        "font-family": style.fontFamily.replace(/"/g, "'"), textLength: at.width,
        lengthAdjust: "spacingAndGlyphs", ...fill(style.color)}, text));
    };
    // Word by word, and letter by letter where a word is broken over lines.
    const text = (node, style) => {
      const range = document.createRange();
      const rects = (from, to) => {
        range.setStart(node, from);
        range.setEnd(node, to);
        return Array.from(range.getClientRects()).filter(box => box.width);
      };
      for (const word of node.data.matchAll(/\S+/g)) {
        const found = rects(word.index, word.index + word[0].length);
        if (found.length === 1) {
          write(word[0], found[0], style);
        } else if (found.length) {
          let at = word.index;
          for (const letter of word[0]) {
            const [box] = rects(at, at + letter.length);
            if (box) write(letter, box, style);
            at += letter.length;
          }
        }
      }
    };
    const scene = node => {
      const copy = node.cloneNode(true), at = place(node.getBoundingClientRect());
      wide = Math.max(wide, at.x - EDGE + at.width);
      const marks = [node, ...node.querySelectorAll("*")];
      [copy, ...copy.querySelectorAll("*")].forEach((mark, i) => {
        const style = getComputedStyle(marks[i]);
        for (const name of ["fill", "stroke", "stroke-width"]) {
          mark.setAttribute(name, style.getPropertyValue(name));
        }
        if (mark.tagName === "text") {
          mark.setAttribute("font-family", style.fontFamily.replace(/"/g, "'"));
          mark.setAttribute("xml:space", "preserve");
        }
        mark.removeAttribute("class");
        mark.removeAttribute("data-csv");
      });
      for (const [key, value] of Object.entries(at)) copy.setAttribute(key, value);
      root.append(copy);
    };
    const visit = node => {
      const style = getComputedStyle(node);
      if (style.display === "none" || style.visibility === "hidden") return;
      if (node.tagName === "svg") {
        scene(node);
      } else if (node.tagName === "IMG") {
        const at = place(node.getBoundingClientRect());
        wide = Math.max(wide, at.x - EDGE + at.width);
        root.append(make("image", {...at, x: Math.round(at.x), y: Math.round(at.y),
          href: node.src, preserveAspectRatio: "none", style: "image-rendering:pixelated"}));
      } else {
        boxes(node, style);
        for (const child of node.childNodes) {
          if (child.nodeType === Node.TEXT_NODE) text(child, style);
          else if (child.nodeType === Node.ELEMENT_NODE) visit(child);
        }
      }
    };
    try {
      for (const child of paper.children) visit(child);
    } finally {
      paper.remove();
    }
    const width = Math.ceil(wide + 2 * EDGE), height = Math.ceil(origin.height + 2 * EDGE);
    const size = {width, height, viewBox: `0 0 ${width} ${height}`};
    for (const [key, value] of Object.entries(size)) root.setAttribute(key, value);
    return {width, height, source: '<?xml version="1.0" encoding="UTF-8"?>\n'
      + new XMLSerializer().serializeToString(root) + "\n"};
  };

  const pixels = async ({source, width, height}) => {
    const sharp = Math.min(SHARP, Math.sqrt(MOST_PIXELS / (width * height)));
    const image = new Image(), canvas = document.createElement("canvas");
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(source);
    await image.decode();
    canvas.width = Math.round(sharp * width);
    canvas.height = Math.round(sharp * height);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done, failed) => canvas.toBlob(
      blob => blob ? done(blob) : failed(new Error("the browser makes no PNG of it")),
      "image/png"));
  };

  // Buttons ---------------------------------------------------------------------------------

  const MAKERS = {
    PNG: (picture, name) => pixels(drawn(picture, name)),
    SVG: (picture, name) => new Blob([drawn(picture, name).source], {type: "image/svg+xml"}),
    CSV: picture => new Blob([values(picture)], {type: "text/csv;charset=utf-8"})};
  const safe = text => text.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40)
    || "x";
  let forgotten = 0;
  const save = async (picture, kind, whole) => {
    const card = picture.closest("article");
    const parts = [card ? card.dataset.number : "all",
      ...(card ? [card.querySelector("h3 code").textContent] : []),
      ...(picture.closest(".beside") ? ["beside"] : []), picture.dataset.picture];
    const name = `${parts.map(safe).join("_")}.${kind.toLowerCase()}`;
    try {
      const blob = await MAKERS[kind](picture, whole);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      said.textContent = `saved as ${name}`;
    } catch (error) {
      said.textContent = `${name} could not be saved: ${error.message}`;
    }
    clearTimeout(forgotten);
    forgotten = setTimeout(() => { said.textContent = ""; }, 8000);
  };
  // One stop of the Tab key for each picture; arrows go from button to button.
  const step = event => {
    const buttons = Array.from(event.currentTarget.querySelectorAll("button"));
    const at = buttons.indexOf(document.activeElement), last = buttons.length - 1;
    const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last}[event.key];
    if (to === undefined || to < 0 || to > last) return;
    event.preventDefault();
    buttons.forEach((button, i) => { button.tabIndex = i === to ? 0 : -1; });
    buttons[to].focus();
  };
  for (const picture of pictures) {
    const card = picture.closest("article"), group = document.createElement("div");
    const whole = picture.dataset.picture + (picture.closest(".beside") ? " beside it" : "")
      + (card ? `, ${card.querySelector("h3").textContent}` : "");
    group.className = "save";
    group.setAttribute("role", "toolbar");
    group.setAttribute("aria-label", `Save ${whole}`);
    group.append("Save ");
    for (const kind of Object.keys(MAKERS)) {
      const button = document.createElement("button");
      button.type = "button";
      button.tabIndex = kind === "PNG" ? 0 : -1;
      button.textContent = kind;
      button.setAttribute("aria-label", `${kind} of ${whole}`);
      button.addEventListener("click", () => save(picture, kind, whole));
      group.append(button, " ");
    }
    group.addEventListener("keydown", step);
    picture.append(group);
  }
})();
