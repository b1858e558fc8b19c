--[[
The part of Quarto's Markdown that the pages use: numbered figures, tables and equations, references
to them, callouts, and links to the sources of other pages. What it cannot resolve is a warning of
pandoc's, which stops the preview.
]]

local NAMES = { fig = "Figure", tbl = "Table", eq = "Equation" }
local counts = { fig = 0, tbl = 0, eq = 0 }
local numbers = {} -- of the labels: "fig-loss" is "Figure 1"

local function kind_of(label)
  local kind = label:match("^(%a+)%-")
  return NAMES[kind] and kind
end

local function give_number(label)
  local kind = kind_of(label)
  if numbers[label] then
    pandoc.log.warn("two things have the label " .. label)
  end
  counts[kind] = counts[kind] + 1
  numbers[label] = NAMES[kind] .. "\u{a0}" .. counts[kind]
end

local function raw(text)
  return pandoc.RawBlock("html", text)
end

-- A div with a label: its last paragraph is the caption, above a table and below a figure.
local function figure(div)
  local content, label = div.content, div.identifier
  if #content < 2 or content[#content].t ~= "Para" then
    pandoc.log.warn(label .. " needs something to show, and a caption as its last paragraph")
    return nil
  end
  give_number(label)
  local words = content:remove().content
  local name = pandoc.Span(numbers[label] .. ": ", { class = "float-number" })
  local caption = pandoc.Blocks({
    raw("<figcaption>"), pandoc.Plain(pandoc.Inlines({ name }) .. words), raw("</figcaption>"),
  })
  local is_table = kind_of(label) == "tbl"
  return pandoc.Blocks({ raw('<figure id="' .. label .. '">') })
    .. (is_table and caption .. content or content .. caption)
    .. pandoc.Blocks({ raw("</figure>") })
end

local function callout(div, kind)
  local title = pandoc.Inlines({ kind:sub(1, 1):upper() .. kind:sub(2) })
  if div.content[1].t == "Header" then
    local words = div.content:remove(1).content
    -- On a page, the colour alone must not say which kind it is.
    local kind_of_it = { pandoc.Span(title .. { ": " }, { class = "visually-hidden" }) }
    title = pandoc.Inlines(kind_of_it) .. words
  end
  local collapsed = div.attributes.collapse == "true"
  local outer, inner = table.unpack(collapsed and { "details", "summary" } or { "div", "p" })
  local class = ' class="callout callout-' .. kind .. '"'
  local opening = "<" .. outer .. class .. "><" .. inner .. ' class="callout-title">'
  local between = "</" .. inner .. '><div class="callout-body">'
  return pandoc.Blocks({ raw(opening), pandoc.Plain(title), raw(between) })
    .. div.content
    .. pandoc.Blocks({ raw("</div></" .. outer .. ">") })
end

local function figure_or_callout(div)
  if kind_of(div.identifier) then
    return figure(div)
  end
  local kind = table.concat(div.classes, " "):match("callout%-(%a+)")
  return kind and callout(div, kind)
end

local function scroll_box(wide_table)
  local attributes = { tabindex = "0", role = "group", ["aria-label"] = "Table" }
  return pandoc.Div({ wide_table }, pandoc.Attr("", { "table-scroll" }, attributes))
end

-- `$$ … $$ {#eq-loss}` is an equation with a number beside it.
local function equations(inlines)
  local result = pandoc.Inlines({})
  for _, inline in ipairs(inlines) do
    local label = inline.t == "Str" and inline.text:match("^{#(eq%-[%w-]+)}$")
    local math = label and result[#result - 1] -- a space stands between the two
    if math and math.t == "Math" then
      give_number(label)
      result:remove()
      result:remove()
      local number = pandoc.Span("(" .. counts.eq .. ")", { class = "equation-number" })
      inline = pandoc.Span({ math, number }, pandoc.Attr(label, { "equation" }))
    end
    result:insert(inline)
  end
  return result
end

local function reference(cite)
  local label = cite.citations[1].id
  if not kind_of(label) then
    return nil -- it is literature, and left to citeproc
  end
  if not numbers[label] then
    pandoc.log.warn("unresolved reference @" .. label)
  elseif #cite.citations > 1 or cite.citations[1].mode ~= "AuthorInText" then
    pandoc.log.warn("not alone, or in brackets: @" .. label)
  end
  return pandoc.Link(numbers[label] or "?", "#" .. label)
end

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

-- A link to a source leads to its page.
local function link_to_page(link)
  local path, anchor = link.target:match("^([^#]+)(.*)$")
  if not path or path:match("^%a+:") then
    return nil
  end
  local is_source = path:match("%.qmd$") or path:match("%.ipynb$")
  if is_source and not link.attributes.download then
    link.target = path:gsub("%.%a+$", ".html") .. anchor
  end
  if not exists(path) then
    pandoc.log.warn("a link leads nowhere: " .. path)
  end
  return link
end

local function leftover(word)
  if word.text:match("^{#") or word.text:match("^{{<") then
    pandoc.log.warn("not known here: " .. word.text)
  end
end

function Pandoc(doc)
  doc = doc:walk({ Div = figure_or_callout, Table = scroll_box, Inlines = equations })
  -- Now that all have their numbers:
  return doc:walk({ Cite = reference, Link = link_to_page, Str = leftover })
end
