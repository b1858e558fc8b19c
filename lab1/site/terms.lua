--[[
Gives a link to a term of the glossary what the term means, for the page to show while the pointer or
the focus is on the link (`charts.css`):

    Such a pair are [twins](../glossary.qmd#twin).

The meaning is the beginning of the term's definition, up to its first formula or citation. A term
that the glossary does not have stops the build. A link to the references becomes a citation. No line breaks
between a number and its sign ("95 %", "n = 3", "93 ± 1"), and within an option of a command (`--seeds`).
]]

local meanings = {} -- by the glossary's path, then by the term's id

-- The words before the first formula or citation; what is left of a sentence there ends at a mark.
local function beginning(inlines)
  local words, cut = pandoc.Inlines({}), false
  for _, inline in ipairs(inlines) do
    cut = inline.t == "Math" or inline.t == "Cite"
    if cut then
      break
    end
    words:insert(inline)
  end
  local text = pandoc.utils.stringify(words)
  if cut then
    text = text:match("^(.*)[.:;]") or text:match("^(.*),") or text
  end
  return (text:gsub("%s+$", ""):gsub("[.:;]$", "")) .. "."
end

local function read(path)
  local file = io.open(path)
  if file == nil then
    error("terms: " .. path .. " is missing", 0)
  end
  local found = {}
  pandoc.read(file:read("a"), "markdown"):walk({
    DefinitionList = function(list)
      for _, item in ipairs(list.content) do
        local term, definitions = table.unpack(item)
        if term[1].t == "Span" then
          found[term[1].identifier] = beginning(definitions[1][1].content)
        end
      end
    end,
  })
  file:close()
  return found
end

function Link(link)
  local cited = link.target:match("^#ref%-(.+)$")
  if cited then -- Quarto shows under the pointer what stands in such a frame
    link.attributes.role = "doc-biblioref"
    return pandoc.Span({ link }, { class = "citation", ["data-cites"] = cited })
  end
  local path, id = link.target:match("^(.*glossary%.qmd)#(.+)$")
  if path == nil then
    return nil
  end
  meanings[path] = meanings[path] or read(path)
  local meaning = meanings[path][id]
  if meaning == nil then
    error("terms: " .. path .. " has no term with the id " .. id, 0)
  end
  link.classes:insert("lab1-term")
  link.attributes["data-meaning"] = meaning
  return link
end

local function is_sign(inline)
  return inline.t == "Str" and (inline.text:match("^[%%=]") or inline.text:match("^±"))
end

function Inlines(inlines)
  for i = 2, #inlines - 1 do
    local before, after = inlines[i - 1], inlines[i + 1]
    local open = before.t == "Str" and before.text:match("[=±]$")
    if (inlines[i].t == "Space" or inlines[i].t == "SoftBreak") and (open or is_sign(after)) then
      inlines[i] = pandoc.Str("\u{a0}")
    end
  end
  return inlines
end

-- A browser breaks lines after any hyphen.
function Code(code)
  if FORMAT:match("html") and (" " .. code.text):match("%s%-") then
    local text = code.text:gsub("&", "&amp;"):gsub("<", "&lt;")
    local kept = (" " .. text):gsub("(%s)(%-[%w-]+)", '%1<span class="lab1-option">%2</span>')
    return pandoc.RawInline("html", "<code>" .. kept:sub(2) .. "</code>")
  end
end
