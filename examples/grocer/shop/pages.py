"""The shop's pages: a catalogue in, HTML out. Each has its own content; Edgewise fills the slots."""

from __future__ import annotations

from html import escape
from pathlib import Path

from articles import ARTICLES, STORIES
from catalogue import Catalogue, Product

FRAGMENTS = Path(__file__).parent.parent / "fragments"  # a slot's own content is its default


def _slot(name: str, default: str) -> str:
    own = (FRAGMENTS / f"{default}.html").read_text(encoding="utf-8").strip()
    return f'<edge-slot name="{name}">{own}</edge-slot>'


def _icon(name: str) -> str:
    return f'<svg aria-hidden="true"><use href="/static/icons.svg#{name}"/></svg>'


def _layout(
    title: str, body: str, catalogue: Catalogue, *, category: str = "", measured: bool = False
) -> str:
    """measured: how deep it is scrolled, and for how long it is in view."""
    links = "".join(
        f'<a href="/d/{key}"{" aria-current=page" if key == category else ""}>{escape(shelf.title)}</a>'
        for key, shelf in catalogue.shelves.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="edgewise-category" content="{escape(category)}">
<title>{escape(title)} · Field &amp; Larder</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/shop.css">
<script async src="/_ew/loader.js" data-events="article_read wish unwish favourite unfavourite"{" data-engagement" if measured else ""}></script>
<script src="/static/shop.js" defer></script>
<script src="/static/why.js" defer></script>
</head>
<body>
<header class="top">
  <a class="brand" href="/">{_icon("produce")}Field &amp; Larder</a>
  <nav class="aisles" aria-label="Departments">{links}</nav>
  <div class="account">
    <button type="button" id="sign-in">Sign in</button>
    <a class="basket" href="/cart" aria-label="Basket">{_icon("basket")}<span id="basket-count">0</span></a>
  </div>
</header>
<main>{body}</main>
<footer class="foot">
  <p>A demonstration shop. Products, households and purchases come from the public <em>Complete Journey</em>
  data, which its authors simulated on real patterns; nothing can be bought here.</p>
  <p><button type="button" class="plain" id="privacy">Privacy choices</button>
  <a href="/_ew/v1/me">What do you know of me?</a></p>
</footer>
<div id="consent" class="sheet" role="dialog" aria-label="Privacy choices" hidden></div>
<dialog id="households" class="picker" aria-label="Sign in as a household"></dialog>
<dialog id="look" class="picker" aria-label="A quick look"></dialog>
</body>
</html>"""


def _money(cents: int) -> str:
    return f"${cents / 100:,.2f}"


def _data(product: Product) -> str:
    return (
        f'data-item="{escape(product.id)}" data-category="{product.category}"'
        f' data-price="{product.cents / 100:.2f}" data-title="{escape(product.title)}"'
    )


def _add(product: Product) -> str:
    return f'<button type="button" class="add" {_data(product)}>Add</button>'


def _heart(product: Product) -> str:
    return (
        f'<button type="button" class="heart" data-heart="wish" {_data(product)} aria-pressed="false"'
        f' aria-label="Save {escape(product.title)} for later">{_icon("heart")}</button>'
    )


def _card(product: Product) -> str:
    return f"""<article class="card">
<button type="button" class="picture tone-{product.category}" {_data(product)} title="A quick look">{_icon(product.category)}</button>{_heart(product)}
<h3><a href="/p/{escape(product.id)}">{escape(product.title)}</a></h3>
<p class="size">{escape(product.size or product.brand)}</p>
<p class="buy"><span class="price">{_money(product.cents)}</span>{_add(product)}</p>
</article>"""


def _stories(slugs: tuple[str, ...]) -> str:
    return "".join(
        f'<a class="story" href="/journal/{slug}"><h3>{escape(ARTICLES[slug][0])}</h3>'
        f"<p>{escape(ARTICLES[slug][1])}</p></a>"
        for slug in slugs
    )


def home(catalogue: Catalogue) -> str:
    tiles = "".join(
        f'<a class="tile tone-{key}" href="/d/{key}">{_icon(key)}<span>{escape(shelf.title)}</span></a>'
        for key, shelf in catalogue.shelves.items()
    )
    body = f"""{_slot("hero", "hero/welcome")}{_slot("promo", "promo/none")}
<section><h2>Departments</h2><div class="tiles">{tiles}</div></section>
<section><h2>In most baskets</h2><div class="grid">{"".join(map(_card, catalogue.popular))}</div></section>
<section><h2>From the journal</h2><div class="stories">{_stories(STORIES)}</div></section>"""
    return _layout("Groceries", body, catalogue)


def department(catalogue: Catalogue, category: str) -> str:
    shelf = catalogue.shelves[category]
    body = f"""{_slot("hero", "hero/welcome")}{_slot("aisle", "aisle/none")}
<nav class="crumbs"><a href="/">Home</a> / {escape(shelf.title)}</nav>
<h1 class="hearted">{escape(shelf.title)} <button type="button" class="heart" data-heart="favourite" data-category="{category}"
 aria-pressed="false" aria-label="{escape(shelf.title)} is a favourite of mine">{_icon("heart")}</button></h1>
<div class="grid">{"".join(map(_card, shelf.products))}</div>"""
    return _layout(shelf.title, body, catalogue, category=category)


def product(catalogue: Catalogue, item: Product) -> str:
    shelf = catalogue.shelves[item.category]
    others = [_card(other) for other in shelf.products if other.id != item.id][:5]
    about = " · ".join(filter(None, (item.brand, item.size)))
    body = f"""<nav class="crumbs"><a href="/">Home</a> / <a href="/d/{item.category}">{escape(shelf.title)}</a></nav>
<article class="product" {_data(item)}>
<div class="picture big tone-{item.category}">{_icon(item.category)}</div>
<div><p class="ew-kicker">{escape(shelf.title)}</p><h1>{escape(item.title)}</h1>
<p class="size">{escape(about)}</p><p class="price">{_money(item.cents)}</p><p class="hearted">{_add(item)} {_heart(item)}</p>
<p class="facts">In the baskets of {item.households:,} households last year.</p></div></article>
{_slot("promo", "promo/none")}
<section><h2>More of this</h2><div class="grid">{"".join(others)}</div></section>"""
    return _layout(item.title, body, catalogue, category=item.category)


def cart(catalogue: Catalogue) -> str:
    body = f"""<h1>Your basket</h1>{_slot("cart", "cart/none")}
<div id="lines" class="lines"><p class="empty">Your basket is empty.</p></div>
<p class="total"><span>Total</span><strong id="total">$0.00</strong></p>
<button type="button" class="ew-cta" id="order" disabled>Place the order</button>"""
    return _layout("Basket", body, catalogue)


def journal(catalogue: Catalogue, slug: str) -> str:
    title, lead, paragraphs = ARTICLES[slug]
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    others = tuple(other for other in STORIES if other != slug)
    body = f"""<article class="reading" data-article="{slug}"><p class="ew-kicker">Journal</p><h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>{text}</article>
{_slot("promo", "promo/none")}
<section><h2>Read on</h2><div class="stories">{_stories(others)}</div></section>"""
    return _layout(title, body, catalogue, measured=True)
