"""Pages for people: self-contained HTML made with Jinja, with plots by matplotlib as inline SVG."""
