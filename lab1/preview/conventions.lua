--[[
Quarto's conventions that are not cross-references: callouts, folded code, content for some formats
only, the order of headings, alternatives of images. A shortcode is a warning, which stops the
preview.
]]

local KINDS = {
  note = "Note", tip = "Tip", warning = "Warning", important = "Important", caution = "Caution",
}

local function html(text)
  return pandoc.RawBlock("html", text)
end

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function callout_kind(div)
  for _, class in ipairs(div.classes) do
    local kind = class:match("^callout%-(%a+)$")
    if kind and KINDS[kind] then
      return kind
    end
  end
end

-- Whether the div shows in HTML at all: Quarto's content-visible and content-hidden.
local function shown(div)
  local when, unless = div.attributes["when-format"], div.attributes["unless-format"]
  local matches = (when == nil or when:match("^html") ~= nil)
    and (unless == nil or unless:match("^html") == nil)
  if div.classes:includes("content-hidden") then
    return not matches
  end
  return not div.classes:includes("content-visible") or matches
end

local function parsed(text)
  return pandoc.utils.blocks_to_inlines(pandoc.read(text, "markdown").blocks)
end

local function folded_code(div)
  local open = div.classes:includes("open") and " open" or ""
  local blocks = pandoc.Blocks({
    html('<details class="cell-code"' .. open .. "><summary>"),
    pandoc.Plain(parsed(div.attributes.summary)),
    html("</summary>"),
  })
  blocks:extend(div.content)
  blocks:insert(html("</details>"))
  return blocks
end

local function callout(div, kind)
  local content, title = div.content, nil
  if div.attributes.title then
    title = parsed(div.attributes.title)
  elseif content[1] and content[1].t == "Header" then
    title = content[1].content
    content = pandoc.Blocks({ table.unpack(content, 2) })
  end
  local heading = pandoc.Inlines({})
  if title then
    -- The colour alone must not say what kind of callout it is.
    heading:insert(pandoc.Span({ KINDS[kind] .. ": " }, { class = "visually-hidden" }))
    heading:extend(title)
  else
    heading:insert(pandoc.Str(KINDS[kind]))
  end
  local attributes = ' class="' .. escape(table.concat(div.classes, " ") .. " callout") .. '"'
  if div.identifier ~= "" then
    attributes = ' id="' .. escape(div.identifier) .. '"' .. attributes
  end
  local collapse = div.attributes.collapse
  local outer, inner = "div", "p"
  if collapse == "true" or collapse == "false" then
    outer, inner = "details", "summary"
    attributes = attributes .. (collapse == "false" and " open" or "")
  end
  local blocks = pandoc.Blocks({
    html("<" .. outer .. attributes .. "><" .. inner .. ' class="callout-title">'),
    pandoc.Plain(heading),
    html("</" .. inner .. '><div class="callout-body">'),
  })
  blocks:extend(content)
  blocks:insert(html("</div></" .. outer .. ">"))
  return blocks
end

local function div(each)
  if not shown(each) then
    return {}
  end
  if each.classes:includes("cell-code") and each.attributes.summary then
    return folded_code(each)
  end
  local kind = callout_kind(each)
  return kind and callout(each, kind) or nil
end

-- The alternative text is Quarto's fig-alt, where there is one, else the caption.
local function image(each)
  local alternative = each.attributes["fig-alt"]
  if alternative then
    each.caption = pandoc.Inlines(alternative)
    each.attributes["fig-alt"] = nil
    return each
  end
end

local function text(each)
  if each.text:match("^{{<") then
    pandoc.log.warn("the preview does not know the shortcode that begins with " .. each.text
      .. " (it knows include, on a line of its own)")
  end
end

-- The page's title is the only heading of level 1, and no level is left out below it.
local function order_headings(doc)
  local highest = 6
  doc:walk({ Header = function(header) highest = math.min(highest, header.level) end })
  local previous = 1
  return doc:walk({
    Header = function(header)
      header.level = math.min(header.level - highest + 2, previous + 1, 6)
      previous = header.level
      return header
    end,
  })
end

function Pandoc(doc)
  doc = doc:walk({ traverse = "topdown", Div = div })
  return order_headings(doc:walk({ Image = image, Str = text }))
end
