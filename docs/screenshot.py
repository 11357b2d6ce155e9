"""Take the README's picture: the newest two runs of this folder's store, side by side in MLflow's UI.

Run it in a folder where `make demo` was run. It needs Chromium with its driver, and selenium:

    python docs/screenshot.py docs/images/compare.png
"""

import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from mlflow import MlflowClient
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

PORT = 5555
PLOT = "confusion_matrix.png"
COMPARE = "/#/compare-runs?runs=%5B%22{a}%22,%22{b}%22%5D&experiments=%5B%220%22%5D"
WIDTH, HEIGHT, LONG = 1280, 1100, 2600
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def wait_for_server() -> None:
    """Wait until the server answers."""
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the tracking server does not answer")


def open_browser() -> webdriver.Chrome:
    """Start Chromium without a window."""
    options = webdriver.ChromeOptions()
    for option in OPTIONS:
        options.add_argument(option)
    # Named, so that selenium looks for no driver of its own elsewhere.
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.set_window_size(WIDTH, LONG)
    return browser


def find(browser: webdriver.Chrome, xpath: str) -> WebElement:
    """Wait for an element."""
    return WebDriverWait(browser, 60).until(presence_of_element_located((By.XPATH, xpath)))


def take(picture: Path, page: str) -> None:
    """Open the compare page, choose a plot, and store what is to be seen from the metrics downwards."""
    browser = open_browser()
    try:
        browser.get(f"http://127.0.0.1:{PORT}{page}")
        chosen = find(browser, f"//*[text()='{PLOT}']")
        for panel in browser.find_elements(By.CSS_SELECTOR, "button[aria-label*='lose']"):
            browser.execute_script("arguments[0].click()", panel)
        browser.execute_script("arguments[0].click()", chosen)
        find(browser, "//img[contains(@src, 'blob:') or contains(@src, 'artifact')]")
        time.sleep(2)  # the pictures fade in
        browser.set_window_size(WIDTH, HEIGHT)
        browser.execute_script("arguments[0].scrollIntoView()", find(browser, "//*[text()='Metrics'][last()]"))
        time.sleep(1)
        picture.parent.mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(picture))
    finally:
        browser.quit()


def main(picture: Path) -> None:
    """Start the server, take the picture, stop the server."""
    newest = MlflowClient().search_runs(["0"], "attributes.status = 'FINISHED'", max_results=2)
    server = subprocess.Popen([sys.executable, "-m", "slipway", "up", "--no-scoring", "--port", str(PORT)])
    try:
        wait_for_server()
        take(picture, COMPARE.format(a=newest[1].info.run_id, b=newest[0].info.run_id))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
