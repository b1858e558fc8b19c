"""How executed chapters become a site: the preview, and the styles and scripts of both sites."""
