"""The shop's pages: a catalogue in, HTML out. Each page holds its own content; Edgewise only fills its slots."""

from __future__ import annotations

from html import escape

from catalogue import Catalogue, Product

ARTICLES = {
    "slow-sunday": (
        "A slow Sunday stew",
        "Two hours, one pot, and what is left of the week.",
        [
            "Brown the meat in two batches, so that the pot stays hot. Colour is flavour; grey is not.",
            "Onions next, then carrots and a spoon of flour. Scrape up everything that sticks.",
            "Pour in stock until the meat looks out of it like an island, put the lid on, and read.",
            "After two hours add potatoes. After two and a half, friends.",
        ],
    ),
    "better-bread": (
        "Keeping bread for four days",
        "The bag, the box or the fridge? We tried all three.",
        [
            "The fridge is the worst place for bread: starch turns firm fastest at four degrees.",
            "A linen bag in a wooden box kept our loaf soft until the third day.",
            "On day four, slice it and freeze it. A toaster does the rest.",
        ],
    ),
    "seasonal-greens": (
        "What to do with winter greens",
        "Kale, chard and the leaves that nobody knows the name of.",
        [
            "Take the stalks out, wash the leaves twice, and dry them well.",
            "A hot pan, oil, garlic, two minutes. A squeeze of lemon at the end.",
            "What is left over goes into tomorrow's omelette.",
        ],
    ),
}


def _layout(
    title: str, body: str, catalogue: Catalogue, *, category: str = "", here: str = ""
) -> str:
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
<script src="/static/shop.js" defer></script>
<script src="/static/why.js" defer></script>
<script async src="/_ew/loader.js" data-events="article_read product_view"></script>
</head>
<body data-page="{escape(here)}">
<header class="top">
  <a class="brand" href="/"><svg><use href="/static/icons.svg#produce"/></svg>Field &amp; Larder</a>
  <nav class="aisles" aria-label="Departments">{links}</nav>
  <div class="account">
    <button type="button" id="sign-in">Sign in</button>
    <a class="basket" href="/cart"><svg><use href="/static/icons.svg#basket"/></svg><span id="basket-count">0</span></a>
  </div>
</header>
<main>{body}</main>
<footer class="foot">
  <p>A demonstration shop. Products, households and purchases come from the public <em>Complete Journey</em>
  data, which its authors simulated on real patterns; nothing can be bought here.</p>
  <p><a href="/journal/slow-sunday">Journal</a> · <button type="button" class="plain" id="privacy">Privacy choices</button></p>
</footer>
<div id="consent" class="sheet" role="dialog" aria-label="Privacy choices" hidden></div>
<dialog id="households" class="picker" aria-label="Sign in as a household"></dialog>
</body>
</html>"""


def _card(product: Product) -> str:
    return f"""<article class="card">
<a href="/p/{product.id}" class="picture tone-{product.category}"><svg><use href="/static/icons.svg#{product.category}"/></svg></a>
<h3><a href="/p/{product.id}">{escape(product.title)}</a></h3>
<p class="size">{escape(product.size or product.brand)}</p>
<p class="buy"><span class="price">{_money(product.cents)}</span>{_add(product)}</p>
</article>"""


def _add(product: Product) -> str:
    return (
        f'<button type="button" class="add" data-item="{product.id}" data-category="{product.category}"'
        f' data-price="{product.cents / 100:.2f}" data-title="{escape(product.title)}">Add</button>'
    )


def _money(cents: int) -> str:
    return f"${cents / 100:,.2f}"


def _welcome() -> str:
    return """<section class="ew-hero ew-hero--welcome"><p class="ew-kicker">Field &amp; Larder</p>
<h2>Good food, close to home</h2><p>Everything for the week, from the field and the larder.</p>
<a class="ew-cta" href="/d/produce">Start with fresh produce</a></section>"""


def home(catalogue: Catalogue) -> str:
    tiles = "".join(
        f'<a class="tile tone-{key}" href="/d/{key}"><svg><use href="/static/icons.svg#{key}"/></svg>'
        f"<span>{escape(shelf.title)}</span></a>"
        for key, shelf in catalogue.shelves.items()
    )
    stories = "".join(
        f'<a class="story" href="/journal/{slug}"><h3>{escape(title)}</h3><p>{escape(lead)}</p></a>'
        for slug, (title, lead, _) in ARTICLES.items()
    )
    body = f"""<edge-slot name="hero">{_welcome()}</edge-slot>
<edge-slot name="promo"></edge-slot>
<section><h2>Departments</h2><div class="tiles">{tiles}</div></section>
<section><h2>In most baskets this week</h2><div class="grid">{"".join(map(_card, catalogue.popular))}</div></section>
<section><h2>From the journal</h2><div class="stories">{stories}</div></section>"""
    return _layout("Groceries", body, catalogue, here="home")


def department(catalogue: Catalogue, category: str) -> str:
    shelf = catalogue.shelves[category]
    body = f"""<nav class="crumbs"><a href="/">Home</a> / {escape(shelf.title)}</nav>
<edge-slot name="hero">{_welcome()}</edge-slot>
<h1>{escape(shelf.title)}</h1>
<div class="grid">{"".join(map(_card, shelf.products))}</div>
<edge-slot name="promo"></edge-slot>"""
    return _layout(shelf.title, body, catalogue, category=category, here="department")


def product(catalogue: Catalogue, item: Product) -> str:
    shelf = catalogue.shelves[item.category]
    others = "".join(_card(other) for other in shelf.products if other.id != item.id)
    body = f"""<nav class="crumbs"><a href="/">Home</a> / <a href="/d/{item.category}">{escape(shelf.title)}</a></nav>
<article class="product" data-item="{item.id}" data-category="{item.category}" data-price="{item.cents / 100:.2f}">
<div class="picture big tone-{item.category}"><svg><use href="/static/icons.svg#{item.category}"/></svg></div>
<div><p class="ew-kicker">{escape(shelf.title)}</p><h1>{escape(item.title)}</h1>
<p class="size">{escape(" · ".join(filter(None, (item.brand, item.size))))}</p>
<p class="price">{_money(item.cents)}</p>{_add(item)}
<p class="facts">In the baskets of {item.households:,} households last year.</p></div></article>
<edge-slot name="promo"></edge-slot>
<section><h2>More from {escape(shelf.title.lower())}</h2><div class="grid few">{others}</div></section>"""
    return _layout(item.title, body, catalogue, category=item.category, here="product")


def cart(catalogue: Catalogue) -> str:
    body = """<h1>Your basket</h1>
<div id="lines" class="lines"><p class="empty">Your basket is empty.</p></div>
<p class="total"><span>Total</span><strong id="total">$0.00</strong></p>
<button type="button" class="ew-cta" id="order" disabled>Place the order</button>
<edge-slot name="promo"></edge-slot>"""
    return _layout("Basket", body, catalogue, here="cart")


def journal(catalogue: Catalogue, slug: str) -> str:
    title, lead, paragraphs = ARTICLES[slug]
    others = "".join(
        f'<a class="story" href="/journal/{other}"><h3>{escape(ARTICLES[other][0])}</h3>'
        f"<p>{escape(ARTICLES[other][1])}</p></a>"
        for other in ARTICLES
        if other != slug
    )
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    body = f"""<article class="reading" data-article="{slug}"><p class="ew-kicker">Journal</p><h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>{text}</article>
<edge-slot name="promo"></edge-slot>
<section><h2>Read on</h2><div class="stories">{others}</div></section>"""
    return _layout(title, body, catalogue, here="journal")
