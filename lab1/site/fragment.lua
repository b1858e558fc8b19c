--[[
Puts a fragment in place of a div that names it:

    ::: {.fragment file="report/answer.md"}
    :::

The file is Markdown, and its name is relative to the project's folder, which QUARTO_PROJECT_ROOT
names (Quarto sets it, and so does the preview). Links inside are relative to the page that shows
the fragment. What the div holds stands where the file is empty. With `section="Its heading"` only what stands below that heading is shown. A file or a
section that is missing stops the build.

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

local function below(heading, blocks, name)
  local found, level = pandoc.List(), nil
  for _, block in ipairs(blocks) do
    if level and block.t == "Header" and block.level <= level then
      return found
    elseif level then
      found:insert(block)
    elseif block.t == "Header" and pandoc.utils.stringify(block) == heading then
      level = block.level
    end
  end
  if level == nil then
    error("fragment: " .. name .. ' has no section "' .. heading .. '"', 0)
  end
  return found
end

local function fragment(div)
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
  local blocks = pandoc.read(text, "markdown").blocks
  local section = div.attributes["section"]
  blocks = section and below(section, blocks, name) or blocks
  return #blocks > 0 and blocks or div.content
end

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

-- A link to a chapter that this site leaves out is its text.
local function known_page(link)
  local path = link.target:match("^([^#:]+%.ipynb)")
  if not path or link.attributes.download or FORMAT == "gfm" then
    return nil
  end
  local input = quarto and quarto.doc and quarto.doc.input_file
  local is_page = exists((input and pandoc.path.directory(input) .. "/" or "") .. path)
  local chapter = project_root() .. "/chapters/" .. pandoc.path.filename(path)
  return not is_page and exists(chapter) and link.content or nil
end

return { { Div = fragment }, { Link = known_page } }
