--[[
Writes formulas as MathML without their sources, which pandoc would put into each: the search would
find, and show, every formula twice.
]]

local options = pandoc.WriterOptions({ html_math_method = "mathml" })

function Math(math)
  if not FORMAT:match("html") then
    return nil
  end
  local written = pandoc.write(pandoc.Pandoc({ pandoc.Plain({ math }) }), "html5", options)
  local shown = written:gsub('<annotation encoding="application/x%-tex">.-</annotation>', "")
  return pandoc.RawInline("html", (shown:gsub("%s+$", "")))
end
