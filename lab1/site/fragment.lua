--[[
Puts a fragment in place of a div that names it:

    ::: {.fragment file="report/answer.md"}
    :::

The file is Markdown, and its name is relative to the project's folder, which QUARTO_PROJECT_ROOT
names (Quarto sets it, and so does the preview). Links inside are relative to the page that shows
the fragment. A file that is missing stops the build.

Quarto must run this filter before it looks for figures, callouts and cross-references
(`filters: [{path: lab1/site/fragment.lua, at: pre-ast}]`), else those in a fragment are lost.
]]

local function project_root()
  local root = os.getenv("QUARTO_PROJECT_ROOT")
  if (root == nil or root == "") and quarto and quarto.project then
    root = quarto.project.directory
  end
  if root == nil or root == "" then
    error("fragment: QUARTO_PROJECT_ROOT does not name the project's folder", 0)
  end
  return root
end

function Div(div)
  if not div.classes:includes("fragment") then
    return nil
  end
  local name = div.attributes["file"]
  if name == nil then
    error('fragment: the div needs a file, as in ::: {.fragment file="report/answer.md"}', 0)
  end
  local file = io.open(project_root() .. "/" .. name, "r")
  local text = file and file:read("a")
  if file then
    file:close()
  end
  if text == nil then
    error("fragment: " .. name .. " is missing (its name is relative to the project's folder)", 0)
  end
  return pandoc.read(text, "markdown").blocks
end
