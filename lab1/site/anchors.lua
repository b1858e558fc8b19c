--[[
Gives each heading within a page a link to its section, which shows while the pointer or the focus is
on it (`charts.css`), and needs no script.
]]

function Header(header)
  if FORMAT:match("html") and header.level > 1 and header.identifier ~= "" then
    local attributes = { class = "lab1-anchor", ["aria-label"] = "Link to this section" }
    header.content:insert(pandoc.Link({}, "#" .. header.identifier, "", attributes))
    return header
  end
end
