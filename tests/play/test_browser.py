"""Each page in a real browser, driven as its user drives it."""

from math import cos, sin

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

WIDTHS = [(1200, "light"), (400, "dark")]
SYSTEMS = ["swarm", "pendulum", "scenes", "flavor", "halos"]


def answers(page):
    return int(page.locator("html").get_attribute("data-answers"))


def more_than(page, count):
    """Wait until the page has shown another answer."""
    for _ in range(1200):
        if answers(page) > count:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"no further answer after {count}: {page.inner_text('#status')}")


def picture(page, name):
    """A canvas by its label's beginning, and its middle and width on the screen."""
    canvas = page.locator(f'canvas[aria-label^="{name}"]')
    box = canvas.bounding_box()
    return canvas, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), box["width"]


def painted(canvas):
    """The share of pixels that something was drawn on."""
    return canvas.evaluate(
        """canvas => {
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0;
            for (let k = 3; k < pixels.length; k += 4) count += pixels[k] > 0;
            return count / (pixels.length / 4);
        }"""
    )


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(("width", "scheme"), WIDTHS)
def test_the_page_opens_fits_and_draws(page, system, width, scheme):
    opened = page(system, width, scheme)
    opened.wait_for_timeout(150)
    assert opened.locator("html").get_attribute("data-theme") == scheme
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.inner_text("#status") == ""
    assert len(opened.inner_text("#readings")) > 30
    for canvas in opened.locator("canvas").all():
        assert painted(canvas) > 0.002, canvas.get_attribute("aria-label")
    unnamed = "input:not([aria-label]):not([id]), select:not([id]), canvas:not([aria-label])"
    assert opened.locator(unnamed).count() == 0


def test_a_pendulum_is_dragged_and_let_go(page):
    opened = page("pendulum")
    _, (x, y), width = picture(opened, "Double pendulum")
    before, angle = answers(opened), opened.input_value("#control-theta2")
    reach = (0.5 * width / 1.15 - 22) / 2  # of one rod on the screen
    bob = x + reach * (sin(2.0) + sin(2.4)), y + reach * (cos(2.0) + cos(2.4))
    opened.mouse.move(*bob)
    opened.mouse.down()
    opened.mouse.move(bob[0] - 60, bob[1] - 20, steps=4)
    opened.mouse.up()
    more_than(opened, before)
    assert float(opened.input_value("#control-theta1")) == pytest.approx(2, abs=1e-3)
    assert opened.input_value("#control-theta2") != angle
    opened.get_by_text("s⁻¹").wait_for()


def test_a_pendulum_is_moved_by_keys_and_its_film_too(page):
    opened = page("pendulum")
    canvas, *_ = picture(opened, "Double pendulum")
    before = answers(opened)
    canvas.focus()
    opened.keyboard.press("ArrowRight")
    more_than(opened, before)
    assert float(opened.input_value("#control-theta1")) == pytest.approx(2.02, abs=1e-3)
    opened.keyboard.press("Space")
    assert opened.inner_text("#toggle") == "Play"
    place = float(opened.input_value("#position"))
    opened.keyboard.press(".")
    assert float(opened.input_value("#position")) == round(place) + 1


def test_a_swarm_is_stroked_and_goes_on_from_where_it_was(page):
    opened = page("swarm")
    _, (x, y), width = picture(opened, "Density and particles")
    opened.wait_for_timeout(600)
    before = answers(opened)
    opened.mouse.move(x, y)
    opened.mouse.down()
    stopped = float(opened.input_value("#position"))
    opened.mouse.move(x + width / 4, y, steps=4)
    opened.mouse.up()
    more_than(opened, before)
    assert stopped > 0
    assert float(opened.input_value("#position")) < stopped + 1
    assert "40 in the box" in opened.inner_text("#readings")


def test_a_swarm_is_stroked_by_keys(page):
    opened = page("swarm")
    canvas, *_ = picture(opened, "Density and particles")
    canvas.focus()
    before = answers(opened)
    for key in ("ArrowUp", "ArrowLeft", "Enter"):
        opened.keyboard.press(key)
    more_than(opened, before)


def test_scenes_are_picked_by_seed_type_and_key(page):
    opened = page("scenes")
    before = answers(opened)
    opened.get_by_role("button", name="Next seed").click()
    more_than(opened, before)
    assert opened.input_value("#control-seed") == "2"
    before = answers(opened)
    opened.get_by_label("Type").select_option("orbit")
    more_than(opened, before)
    before = answers(opened)
    opened.locator("h1").click()  # keys belong to what has the focus
    opened.keyboard.press("p")
    more_than(opened, before)
    assert opened.input_value("#control-seed") == "1"


def test_what_cannot_be_done_is_said_on_the_page_and_mended_there(page):
    from emulant.systems.scenes.catalogue import SCENARIOS
    from emulant.systems.scenes.play import HARDER

    type_ = next(name for name, scenario in SCENARIOS.items() if scenario.hardest < HARDER)
    opened = page("scenes")
    opened.get_by_label("Type").select_option(type_)
    opened.get_by_label("Difficulty").fill(str(HARDER))
    status = opened.locator("#status.error")
    status.wait_for()
    assert "no harder" in status.inner_text()
    opened.get_by_label("Difficulty").fill("1")
    status.wait_for(state="detached")


def test_a_flux_is_dragged_and_the_cell_simulated(page):
    opened = page("flavor")
    _, (x, y), width = picture(opened, "Flux factors")
    radius, before = width / 2 - 18, answers(opened)
    tip = x + radius * 0.5 * sin(-0.3), y - radius * 0.5 * cos(-0.3)
    opened.mouse.move(*tip)
    opened.mouse.down()
    opened.mouse.move(x - radius * 0.5, y, steps=4)
    opened.mouse.up()
    more_than(opened, before)
    assert float(opened.input_value("#control-direction_x")) == pytest.approx(-1.57, abs=0.06)
    opened.get_by_role("button", name="Simulate this cell").click()
    opened.locator("#reading-simulation", has_text="running").wait_for(state="detached", timeout=90_000)
    assert "steps" in opened.inner_text("#reading-simulation") or "time" in opened.inner_text("#reading-simulation")


def test_feedback_is_slid_and_simulated(page):
    opened = page("halos")
    before = answers(opened)
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight"):
        opened.get_by_label("Supernovae: energy").press(key)
    more_than(opened, before)
    assert "not this one" in opened.inner_text("#reading-simulation")
    opened.get_by_role("button", name="Simulate this feedback").click()
    opened.locator("#reading-simulation", has_text="this feedback").wait_for(timeout=90_000)
    before = answers(opened)
    opened.get_by_role("button", name="Its own feedback").click()
    more_than(opened, before)
    opened.locator("#reading-simulation.good", has_text="its own feedback").wait_for()


def test_the_theme_can_be_chosen(page):
    opened = page("swarm")
    for wanted in ("light", "dark"):
        opened.locator("#theme").click()
        assert opened.locator("html").get_attribute("data-theme") == wanted


def test_a_server_that_has_ended_is_told(page, complaints):
    opened = page("swarm")
    opened.route("**/ask/*", lambda route: route.abort())
    opened.get_by_role("button", name="Begin again").click()
    opened.locator("#status.error", has_text="does not answer").wait_for()
    assert all("ERR_FAILED" in complaint for complaint in complaints)
    complaints.clear()
