"""A gallery of sealed runs: static pages that ask nothing of a network, every number with the bundle that proves it.

    results = gather(["a.tta.zip", "b.tta.zip"], folder)    # Refusal where one does not verify at *figures*
    build(results, Path("site"), Wish(terms=...))           # index.html, workload/, rig/, result/, report/, bundles/

entries.py  bundles as results: verified now, judged now, whatever was said of them before
tables.py   what the pages' tables say
curves.py   a run's error rates over time, as a drawing inside the page
pages.py    the folder of pages
page.html   their template; site.css, site.js: their look, and the filters of their tables
"""
