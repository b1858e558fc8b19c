--[[
Quarto's cross-references: numbers figures, tables, equations and sections in the order of the page,
and links the references to them. One that does not resolve is a warning, which stops the preview.
Then the citations, which look like references.
]]

local NAMES = { fig = "Figure", tbl = "Table", eq = "Equation", sec = "Section", lst = "Listing" }
local NBSP = "\u{a0}"

local counters = { fig = 0, tbl = 0, eq = 0 }
local numbers = {} -- from label to number, as text

local function kind_of(label)
  local kind = label:match("^(%a+)%-.")
  kind = kind and (kind:sub(1, 1):lower() .. kind:sub(2))
  return NAMES[kind] and kind or nil
end

local function register(label, number)
  if numbers[label] then
    pandoc.log.warn("the label " .. label .. " stands for two things")
  end
  numbers[label] = number
end

local function next_number(kind, label)
  counters[kind] = counters[kind] + 1
  register(label, tostring(counters[kind]))
  return numbers[label]
end

local function html(text)
  return pandoc.RawBlock("html", text)
end

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- A figure or table with its caption; without a label it stays unnumbered.
local function float(label, classes, content, caption)
  local kind = kind_of(label)
  local words = pandoc.Inlines({})
  if kind then
    local number = next_number(kind, label)
    words:insert(pandoc.Span(NAMES[kind] .. NBSP .. number .. (#caption > 0 and ": " or ""),
      { class = "float-number" }))
  end
  words:extend(caption)
  -- An image without an alternative of its own has the caption for one.
  content = pandoc.Blocks(content):walk({
    Image = function(image)
      if #image.caption == 0 then
        image.caption = caption
        return image
      end
    end,
  })
  local class = kind == "tbl" and "float float-table" or "float float-figure"
  if #classes > 0 then
    class = class .. " " .. table.concat(classes, " ")
  end
  local id = label ~= "" and ' id="' .. escape(label) .. '"' or ""
  local opening = html("<figure" .. id .. ' class="' .. escape(class) .. '">')
  local figcaption = { html("<figcaption>"), pandoc.Plain(words), html("</figcaption>") }
  local blocks = pandoc.Blocks({ opening })
  if kind == "tbl" then
    blocks:extend(figcaption)
  end
  blocks:extend(content)
  if kind ~= "tbl" then
    blocks:extend(figcaption)
  end
  blocks:insert(html("</figure>"))
  return blocks
end

local function is_caption_mark(inline)
  return inline and inline.t == "RawInline" and inline.text == "<!--caption-->"
end

-- A cell says by a mark which paragraph is the caption; elsewhere it is the last paragraph.
local function split_caption(div)
  local content = div.content:clone()
  local last = content[#content]
  if not last or last.t ~= "Para" then
    return content, pandoc.Inlines({})
  end
  local caption = last.content:clone()
  if is_caption_mark(caption[1]) then
    caption:remove(1)
  elseif div.classes:includes("cell-float") or #content == 1 then
    return content, pandoc.Inlines({})
  end
  content:remove(#content)
  return content, caption
end

-- A lone table or image in a div is the div's float, so its own caption is the caption.
local function div(each)
  local kind = kind_of(each.identifier)
  local cell = each.classes:includes("cell-float")
  if not cell and kind ~= "fig" and kind ~= "tbl" then
    return nil
  end
  local content, caption = split_caption(each)
  local only = #content == 1 and content[1]
  if only and (only.t == "Table" or only.t == "Figure") and kind_of(only.identifier) == nil then
    if #caption == 0 then
      caption = pandoc.utils.blocks_to_inlines(only.caption.long)
    end
    if only.t == "Figure" then
      content = only.content
    elseif kind == "tbl" then
      only.caption = { long = {} }
    end
  end
  local classes = each.classes:filter(function(class) return class ~= "cell-float" end)
  return float(each.identifier, classes, content, caption)
end

local function figure(each)
  if kind_of(each.identifier) == "fig" then
    return float(each.identifier, each.classes, each.content,
      pandoc.utils.blocks_to_inlines(each.caption.long))
  end
end

-- An image without a caption is a figure only through its label.
local function paragraph(each)
  local only = #each.content == 1 and each.content[1]
  if only and only.t == "Image" and kind_of(only.identifier) == "fig" then
    local label = only.identifier
    only.identifier = ""
    return float(label, {}, { pandoc.Plain({ only }) }, pandoc.Inlines({}))
  end
end

-- Older pandocs leave `{#tbl-x ...}` as text at the end of the caption.
local function caption_label(caption)
  for i, inline in ipairs(caption) do
    local label = inline.t == "Str" and inline.text:match("^{#(tbl%-[^%s{}]+)}?$")
    if label then
      while #caption >= i or (#caption > 0 and caption[#caption].t == "Space") do
        caption:remove(#caption)
      end
      return label
    end
  end
end

local function table_block(each)
  local caption = pandoc.utils.blocks_to_inlines(each.caption.long)
  local label = kind_of(each.identifier) == "tbl" and each.identifier or caption_label(caption)
  if label then
    each.identifier = ""
    each.attributes["tbl-colwidths"] = nil
    each.caption = { long = {} }
    return float(label, {}, { each }, caption)
  end
end

-- `$$ ... $$ {#eq-x}` is a numbered equation; every displayed formula scrolls by itself.
local function equations(inlines)
  local result = pandoc.Inlines({})
  local i = 1
  while i <= #inlines do
    local math = inlines[i]
    if math.t == "Math" and math.mathtype == "DisplayMath" then
      local after = inlines[i + 1]
      local mark = after and (after.t == "Space" or after.t == "SoftBreak") and i + 2 or i + 1
      local label = inlines[mark] and inlines[mark].t == "Str"
        and inlines[mark].text:match("^{#(eq%-[^%s{}]+)}$")
      local formula = pandoc.Span({ math }, { class = "formula" })
      if label then
        local number = next_number("eq", label)
        result:insert(pandoc.Span({
          formula,
          pandoc.Span("(" .. number .. ")", { class = "equation-number" }),
        }, pandoc.Attr(label, { "equation" })))
        i = mark
      else
        result:insert(formula)
      end
    else
      result:insert(math)
    end
    i = i + 1
  end
  return result
end

local function number_sections(doc, visible)
  local top = 6
  doc:walk({ Header = function(header) top = math.min(top, header.level) end })
  local levels = {}
  return doc:walk({
    Header = function(header)
      if header.classes:includes("unnumbered") then
        return nil
      end
      local depth = header.level - top + 1
      for level = 1, depth do
        levels[level] = levels[level] or 0
      end
      levels[depth] = levels[depth] + 1
      for level = depth + 1, #levels do
        levels[level] = nil
      end
      local number = table.concat(levels, ".")
      if kind_of(header.identifier) == "sec" then
        register(header.identifier, number)
      end
      if visible then
        header.content:insert(1, pandoc.Span(number, { class = "section-number" }))
        header.content:insert(2, pandoc.Space())
        return header
      end
    end,
  })
end

local function link(citation)
  local kind = kind_of(citation.id)
  local label = kind .. citation.id:sub(#kind + 1)
  if not numbers[label] then
    pandoc.log.warn("unresolved reference @" .. citation.id)
    return pandoc.Str("?")
  end
  local text = pandoc.Inlines({})
  if citation.mode ~= "SuppressAuthor" then
    if #citation.prefix > 0 then
      text:extend(citation.prefix)
    else
      text:insert(pandoc.Str(NAMES[kind]))
    end
    text:insert(pandoc.Str(NBSP))
  end
  text:insert(pandoc.Str(numbers[label]))
  return pandoc.Link(text, "#" .. label, "", { class = "cross-reference" })
end

local function cite(each)
  local references = each.citations:filter(function(citation) return kind_of(citation.id) end)
  if #references == 0 then
    return nil
  end
  if #references < #each.citations then
    pandoc.log.warn("a cross-reference and a citation share the brackets of @" .. references[1].id)
  end
  local result = pandoc.Inlines({})
  for i, citation in ipairs(references) do
    if i > 1 then
      result:extend({ pandoc.Str(","), pandoc.Space() })
    end
    result:insert(link(citation))
    result:extend(citation.suffix)
  end
  return result
end

local function leftover(each)
  local label = each.text:match("{#(%a+%-[^%s{}]*)")
  if label and kind_of(label) then
    pandoc.log.warn("the label {#" .. label .. "} stands where it labels nothing")
  end
end

-- What is left of the citations is for citeproc, which takes its time even where there are none.
-- The bibliography's heading is of level 2, below the title; citeproc's own would be of level 1.
local function cite_literature(doc)
  local cited = doc.meta.nocite ~= nil
  local placed = false
  doc:walk({
    Cite = function() cited = true end,
    Div = function(each) placed = placed or each.identifier == "refs" end,
  })
  if not cited then
    return doc
  end
  if not placed then
    local heading = doc.meta["reference-section-title"] or "References"
    doc.meta["reference-section-title"] = nil
    doc.blocks:insert(pandoc.Header(2, heading, pandoc.Attr("references", { "unnumbered" })))
    doc.blocks:insert(pandoc.Div({}, { id = "refs" }))
  end
  return pandoc.utils.citeproc(doc)
end

function Pandoc(doc)
  doc = number_sections(doc, doc.meta["number-sections"] == true)
  -- Top-down, since figures, tables and images are numbered in the order in which they stand.
  doc = doc:walk({ traverse = "topdown", Div = div, Figure = figure, Table = table_block,
    Para = paragraph })
  doc = doc:walk({ Inlines = equations })
  doc = doc:walk({ Cite = cite, Str = leftover })
  return cite_literature(doc)
end
