"""Description of the virtual imaging workflow, read by the command line, batch runs, samples and tests."""

from ..workflows import Workflow

WORKFLOW = Workflow(
    name="virtual",
    title="Virtual imaging",
    notebook="06_virtual_images.ipynb",
    input="a scan of electron diffraction patterns (4D-STEM)",
    output="images of virtual detectors, radial profiles, deflections",
    sample="nmf_grains",  # any 4D-STEM scan serves
    stages=("schema", "geometry", "detectors", "radial", "deflection", "figures"),
    result="virtual_image",
)
