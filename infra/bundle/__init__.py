"""The lean zip: what Chalice built, without what no request needs, and compiled.

=============  ==========================================================================
``contents``   which files stay, and why the others go
``models``     botocore's data: the operations that the functions call, and no others
``roots``      the certificate authorities of AWS's endpoints
``compiled``   modules as bytecode: Lambda's folder is read-only, so that every cold start
               would compile them anew
``standins``   modules that do nothing, for those that load much for nobody
``slim``       all of these, from one zip to another
=============  ==========================================================================
"""

from infra.bundle.slim import Slimmed, slim

__all__ = ["Slimmed", "slim"]
